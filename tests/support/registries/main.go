// SPDX-License-Identifier: Apache-2.0

// What k3s and RKE2 do with registries.yaml, by the library that they read it with.
//
//	registries hosts FILE FOLDER   writes the hosts.toml files that k3s would write for containerd
//	registries pull FILE IMAGE     pulls as they pull images of their own; prints the digest
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/rancher/wharfie/pkg/registries"
)

// server is where containerd goes when no endpoint has an image.
func server(registry string) string {
	if registry == "docker.io" {
		return "https://registry-1.docker.io/v2"
	}
	return "https://" + registry + "/v2"
}

func hostsFile(registry string, mirror registries.Mirror) string {
	var text strings.Builder
	if registry != "*" {
		fmt.Fprintf(&text, "server = %q\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n", server(registry))
	}
	text.WriteString("\n[host]\n")
	for _, endpoint := range mirror.Endpoints {
		fmt.Fprintf(&text, "[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", endpoint+"/v2")
	}
	return text.String()
}

func writeHosts(mirrors map[string]registries.Mirror, folder string) error {
	for registry, mirror := range mirrors {
		place := filepath.Join(folder, strings.Replace(registry, "*", "_default", 1))
		if err := os.MkdirAll(place, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(place, "hosts.toml"), []byte(hostsFile(registry, mirror)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func run(command, file, argument string) error {
	private, err := registries.GetPrivateRegistries(file)
	if err != nil {
		return err
	}
	if len(private.Registry.Mirrors) == 0 {
		return fmt.Errorf("%s names no mirrors", file)
	}
	if command == "hosts" {
		return writeHosts(private.Registry.Mirrors, argument)
	}
	reference, err := name.ParseReference(argument)
	if err != nil {
		return err
	}
	image, err := private.Image(reference)
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
	}
	digest, err := image.Digest()
	fmt.Println(digest)
	return err
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("registries hosts|pull FILE FOLDER|IMAGE")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}
