package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/pem"
	"fmt"
	"os"
	"path"
	"sort"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nonRoot is the user and group that distroless images use. Images that are used together agree on it.
const nonRoot = 65532

// entrypoint is where the operator is in the image.
const entrypoint = "/hydra-operator"

// file is one entry of the root file system; one whose name ends with / is a folder.
type file struct {
	name    string
	mode    int64
	content []byte
}

// rootFiles are the files of the image. Beside the operator they are what libraries look for: the C library for names of users
// and for the order in which hosts are looked up, rustls for certificate authorities.
func rootFiles(binary, licence []byte) []file {
	passwd := "root:x:0:0:root:/:/sbin/nologin\n"
	passwd += fmt.Sprintf("nonroot:x:%d:%d:nonroot:/:/sbin/nologin\n", nonRoot, nonRoot)
	group := fmt.Sprintf("root:x:0:\nnonroot:x:%d:\n", nonRoot)
	files := []file{
		{"etc/", 0o755, nil},
		{"etc/group", 0o644, []byte(group)},
		{"etc/nsswitch.conf", 0o644, []byte("passwd: files\ngroup: files\nhosts: files dns\n")},
		{"etc/passwd", 0o644, []byte(passwd)},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{entrypoint[1:], 0o755, binary},
		{"licenses/", 0o755, nil},
		{"licenses/LICENSE", 0o644, licence},
		{"tmp/", 0o1777, nil},
	}
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	return files
}

// authorities are those of Mozilla's programme, as PEM. Those that Mozilla trusts only up to a date are left out: a file of
// certificates cannot say that.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return text.Bytes()
}

// archive is the layer: sorted, owned by root, at one time, so that it depends on nothing but the files.
func archive(files []file, at time.Time) ([]byte, error) {
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	for _, file := range files {
		header := &tar.Header{Name: file.name, Mode: file.mode, ModTime: at, Format: tar.FormatUSTAR}
		header.Typeflag, header.Size = tar.TypeReg, int64(len(file.content))
		if path.Clean(file.name)+"/" == file.name {
			header.Typeflag = tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(file.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}

// architecture is the one of the executable, in the words of OCI. One that needs a loader or a library is refused: the image
// has none.
func architecture(executable string) (string, error) {
	binary, err := elf.Open(executable)
	if err != nil {
		return "", fmt.Errorf("%s: %w", executable, err)
	}
	defer binary.Close()
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s is not static: it needs a loader (PT_INTERP)", executable)
		}
	}
	libraries, err := binary.ImportedLibraries()
	if err != nil {
		return "", fmt.Errorf("%s: %w", executable, err)
	}
	if len(libraries) > 0 {
		return "", fmt.Errorf("%s is not static: it needs %v (DT_NEEDED)", executable, libraries)
	}
	switch binary.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", fmt.Errorf("%s is for %s, for which there is no image", executable, binary.Machine)
}

func read(name string) ([]byte, error) {
	content, err := os.ReadFile(name)
	if err == nil && len(content) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	return content, err
}
