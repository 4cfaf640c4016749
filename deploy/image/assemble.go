package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const billType = types.MediaType("application/vnd.cyclonedx+json")

// parts is what an image is made of: paths of files, the commit, and the bytes that it may have.
type parts struct {
	binary, bill, licence, revision string
	limit                           int64
}

// assemble writes the image, and its bill of materials that refers to it, to an OCI layout, and tells about them on stdout.
func assemble(parts parts, to string) error {
	at, err := sourceTime()
	if err != nil {
		return err
	}
	bill, err := read(parts.bill)
	if err != nil {
		return err
	}
	layer, err := layerOf(parts, at)
	if err != nil {
		return err
	}
	image, err := imageOf(parts, bill, layer, at)
	if err != nil {
		return err
	}
	subject, err := partial.Descriptor(image)
	if err != nil {
		return err
	}
	referrer, err := billOf(bill, *subject, at)
	if err != nil {
		return err
	}
	if err := clear(to); err != nil {
		return err
	}
	written, err := layout.Write(to, empty.Index)
	if err != nil {
		return err
	}
	for _, image := range []v1.Image{image, referrer} {
		if err := written.AppendImage(image); err != nil {
			return err
		}
	}
	compressed, err := layer.Size()
	if err != nil {
		return err
	}
	_, err = fmt.Printf("DIGEST=%s\nCOMPRESSED=%d\n", subject.Digest, compressed)
	return err
}

func layerOf(parts parts, at time.Time) (v1.Layer, error) {
	binary, err := read(parts.binary)
	if err != nil {
		return nil, err
	}
	licence, err := read(parts.licence)
	if err != nil {
		return nil, err
	}
	content, err := archive(rootFiles(binary, licence), at)
	if err != nil {
		return nil, err
	}
	fmt.Printf("UNPACKED=%d\n", len(content))
	if parts.limit > 0 && int64(len(content)) > parts.limit {
		return nil, fmt.Errorf("the image has %d bytes unpacked, more than %d", len(content), parts.limit)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer),
		tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
}

func imageOf(parts parts, bill []byte, layer v1.Layer, at time.Time) (v1.Image, error) {
	machine, err := architecture(parts.binary)
	if err != nil {
		return nil, err
	}
	labels, err := labels(bill, parts.revision, at)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	config := &v1.ConfigFile{
		OS:           "linux",
		Architecture: machine,
		Created:      v1.Time{Time: at},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			// A number, because the kubelet cannot tell whether a name is root (runAsNonRoot).
			User:       fmt.Sprintf("%d:%d", nonRoot, nonRoot),
			Entrypoint: []string{entrypoint},
			WorkingDir: "/",
			Labels:     labels,
		},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: at}, CreatedBy: "make image"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, labels).(v1.Image), nil
}

// labels are taken from what the bill says of the operator, which Cargo.toml said.
func labels(bill []byte, revision string, at time.Time) (map[string]string, error) {
	var described cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(bill), cdx.BOMFileFormatJSON).Decode(&described); err != nil {
		return nil, err
	}
	subject := described.Metadata.Component
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       subject.Name,
		prefix + "description": subject.Description,
		prefix + "version":     subject.Version,
		prefix + "licenses":    (*subject.Licenses)[0].Expression,
		prefix + "source":      (*subject.ExternalReferences)[0].URL,
		prefix + "revision":    revision,
		prefix + "created":     at.Format(time.RFC3339),
	}, nil
}

// billOf is the bill as an artifact that refers to the image. The type of its configuration is the type of the artifact,
// which those understand that were there before OCI had a field for it.
func billOf(bill []byte, subject v1.Descriptor, at time.Time) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), billType)
	image, err := mutate.Append(image, mutate.Addendum{
		Layer:       static.NewLayer(bill, billType),
		Annotations: map[string]string{"org.opencontainers.image.title": "sbom.cdx.json"},
	})
	if err != nil {
		return nil, err
	}
	created := map[string]string{"org.opencontainers.image.created": at.Format(time.RFC3339)}
	annotated := mutate.Annotations(image, created).(v1.Image)
	return mutate.Subject(annotated, subject).(v1.Image), nil
}

// clear removes what was written to the folder before, and nothing else.
func clear(folder string) error {
	files, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "oci-layout")); err != nil {
		return fmt.Errorf("%s holds something else than an OCI layout: name another folder, or empty it", folder)
	}
	return os.RemoveAll(folder)
}
