# Interface libraries that every part links: warnings, and the hardening of release builds.
add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla
    -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wdate-time
    $<$<C_COMPILER_ID:GNU>:-Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Walloca>
    $<$<C_COMPILER_ID:Clang>:-Wcomma -Wshorten-64-to-32>)

add_library(hardening INTERFACE)
target_compile_options(hardening INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fno-common
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_link_options(hardening INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
