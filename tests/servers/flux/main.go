// Decodes objects as the controllers of Flux do, but strictly: a member that they do not know is an error.
//
// It reads objects as JSON, one a line, and writes one line for each: {"error": "..."}, which is empty if all is well. It
// ends when standard input does.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	helm "github.com/fluxcd/helm-controller/api/v2"
	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	source "github.com/fluxcd/source-controller/api/v1"
)

type answer struct {
	Error string `json:"error"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "flux:", err)
		os.Exit(1)
	}
}

func serve(objects io.Reader, answers io.Writer) error {
	lines, out := bufio.NewReader(objects), json.NewEncoder(answers)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		reply := answer{}
		if err := decode(line); err != nil {
			reply.Error = err.Error()
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
}

func decode(object []byte) error {
	meta := struct{ APIVersion, Kind string }{}
	if err := json.Unmarshal(object, &meta); err != nil {
		return err
	}
	kinds := map[string]any{
		helm.GroupVersion.String() + " " + helm.HelmReleaseKind:             &helm.HelmRelease{},
		kustomize.GroupVersion.String() + " " + kustomize.KustomizationKind: &kustomize.Kustomization{},
		source.GroupVersion.String() + " " + source.GitRepositoryKind:       &source.GitRepository{},
	}
	kind, known := kinds[meta.APIVersion+" "+meta.Kind]
	if !known {
		return fmt.Errorf("%s %s is not known here", meta.APIVersion, meta.Kind)
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.DisallowUnknownFields()
	return decoder.Decode(kind)
}
