# entrepot_part(NAME SOURCES … USES … [LIBRARIES …]): one static library per folder of src/. Headers in include/NAME
# are what other parts may use; each is also compiled alone (target all_verify_interface_header_sets).
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
function(entrepot_part name)
    cmake_parse_arguments(PART "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
    file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/${name}/*.h)
    add_library(${name} STATIC ${PART_SOURCES})
    target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${headers})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_compile_definitions(${name} PUBLIC _GNU_SOURCE)
    target_link_libraries(${name} PRIVATE warnings hardening PUBLIC ${PART_USES} ${PART_LIBRARIES})
endfunction()

# entrepot_unit_test(PART MODULE [VARIANT …] [SOURCES …] USES …): tests/unit/PART/test_MODULE.c, a cmocka program of its
# own. A VARIANT is the same tests in another program, with another fake for example.
function(entrepot_unit_test part module)
    cmake_parse_arguments(TEST "" "VARIANT" "SOURCES;USES" ${ARGN})
    string(JOIN _ program test ${part} ${module} ${TEST_VARIANT})
    string(JOIN . name unit ${part} ${module} ${TEST_VARIANT})
    add_executable(${program} ${PROJECT_SOURCE_DIR}/tests/unit/${part}/test_${module}.c ${TEST_SOURCES})
    target_link_libraries(${program} PRIVATE warnings ${TEST_USES} PkgConfig::CMOCKA)
    target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/src/${part})
    add_test(NAME ${name} COMMAND ${program})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
