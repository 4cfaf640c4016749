package main

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push pushes the image to its name and what refers to it beside it, with the credentials that `docker login` has stored, and
// tells the name by digest on stdout.
func push(from, to string) error {
	reference, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	index, err := layout.ImageIndexFromPath(from)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	var pushed name.Digest
	for number, described := range manifest.Manifests {
		image, err := index.Image(described.Digest)
		if err != nil {
			return err
		}
		at := reference
		if number == 0 {
			pushed = reference.Context().Digest(described.Digest.String())
		} else {
			at = reference.Context().Digest(described.Digest.String())
		}
		if err := remote.Write(at, image, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return err
		}
	}
	_, err = fmt.Printf("PUSHED=%s\n", pushed)
	return err
}
