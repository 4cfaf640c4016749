package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// systemLibraries are what the compiler and the linker add to the crates.
func systemLibraries() ([]cdx.Component, error) {
	rust, err := output("rustc", "--version", "--verbose")
	if err != nil {
		return nil, err
	}
	version := field(rust, "release: ")
	libraries := []cdx.Component{
		library("rust-std", version, "pkg:generic/rust-std@"+version, "MIT OR Apache-2.0"),
	}
	for _, archive := range []struct{ name, file, licence string }{
		{"glibc", "libc.a", "LGPL-2.1-or-later"},
		{"gcc", "libgcc_eh.a", "GPL-3.0-or-later WITH GCC-exception-3.1"},
	} {
		version, purl, err := origin(archive.name, archive.file)
		if err != nil {
			return nil, err
		}
		libraries = append(libraries, library(archive.name, version, purl, archive.licence))
	}
	return libraries, nil
}

// origin is the version and the package of an archive that the linker takes: of the distribution, where dpkg knows it, because
// that is the version that advisories name.
func origin(name, file string) (version, purl string, err error) {
	path, err := output("cc", "-print-file-name="+file)
	if err != nil {
		return "", "", err
	}
	real, err := filepath.EvalSymlinks(strings.TrimSpace(string(path)))
	if err != nil {
		return "", "", fmt.Errorf("%s, which a static binary needs, is not installed: %w", file, err)
	}
	if source, version, ok := debianSource(real); ok {
		system, err := os.ReadFile("/etc/os-release")
		if err != nil {
			return "", "", err
		}
		distribution := strings.Trim(field(system, "ID="), `"`)
		release := strings.Trim(field(system, "VERSION_ID="), `"`)
		escaped := strings.NewReplacer("+", "%2B", ":", "%3A", "~", "%7E").Replace(version)
		at := fmt.Sprintf("distro=%s-%s", distribution, release)
		return version, fmt.Sprintf("pkg:deb/%s/%s@%s?arch=source&%s", distribution, source, escaped, at), nil
	}
	version, err = upstreamVersion(name)
	return version, fmt.Sprintf("pkg:generic/%s@%s", name, version), err
}

// debianSource is the source package that a file is from, and its version.
func debianSource(file string) (source, version string, ok bool) {
	owner, err := exec.Command("dpkg-query", "--search", file).Output()
	if err != nil {
		return "", "", false
	}
	name, _, _ := strings.Cut(string(owner), ": ")
	shown, err := exec.Command("dpkg-query", "--show", "--showformat=${source:Package} ${source:Version}", name).Output()
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(shown), " ")
}

func upstreamVersion(name string) (string, error) {
	if name == "glibc" {
		out, err := output("getconf", "GNU_LIBC_VERSION") // "glibc 2.36"
		return strings.TrimPrefix(strings.TrimSpace(string(out)), "glibc "), err
	}
	out, err := output("cc", "-dumpfullversion")
	return strings.TrimSpace(string(out)), err
}

// field is the rest of the first line that begins so.
func field(text []byte, start string) string {
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, start); is {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
