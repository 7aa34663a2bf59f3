// SPDX-License-Identifier: Apache-2.0

// A reverse proxy that sends the header fields that Traefik sends:
//
//	forwarder LISTEN UPSTREAM CERTIFICATE KEY
//
// Empty CERTIFICATE and KEY: plain HTTP.
package main

import (
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	listen, upstream, certificate, key := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	target, err := url.Parse("http://" + upstream)
	if err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target) // it appends to X-Forwarded-For itself
	proxy.FlushInterval = -1
	handler := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		scheme, port := "http", "80"
		if request.TLS != nil {
			scheme, port = "https", "443"
		}
		if _, said, err := net.SplitHostPort(request.Host); err == nil {
			port = said
		}
		client, _, _ := net.SplitHostPort(request.RemoteAddr)
		request.Header.Set("X-Forwarded-Host", request.Host)
		request.Header.Set("X-Forwarded-Port", port)
		request.Header.Set("X-Forwarded-Proto", scheme)
		request.Header.Set("X-Forwarded-Server", "traefik")
		request.Header.Set("X-Real-Ip", client)
		proxy.ServeHTTP(writer, request)
	})
	server := &http.Server{Addr: listen, Handler: handler}
	if certificate != "" {
		log.Fatal(server.ListenAndServeTLS(certificate, key))
	}
	log.Fatal(server.ListenAndServe())
}
