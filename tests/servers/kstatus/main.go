// Answers what kstatus, the library by which Flux and kpt judge resources, says of an object.
//
// It reads objects as JSON, one a line, and writes one line for each: {"status":"Current","message":"..."}. An object that
// kstatus refuses has {"status":"Error","message":"..."}. It ends when standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := answer(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func answer(objects io.Reader, verdicts io.Writer) error {
	lines, out := bufio.NewReader(objects), json.NewEncoder(verdicts)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.Encode(judge(line)); err != nil {
			return err
		}
	}
}

func judge(object []byte) verdict {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(object); err != nil {
		return verdict{Status: "Error", Message: err.Error()}
	}
	result, err := status.Compute(u)
	if err != nil {
		return verdict{Status: "Error", Message: err.Error()}
	}
	return verdict{Status: result.Status.String(), Message: result.Message}
}
