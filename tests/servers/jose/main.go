// Answers what an implementation of JOSE that is not ours makes of keys and signatures: go-jose, and Go's own crypto/x509 for
// PEM.
//
// It reads requests as JSON, one a line, and writes one line for each: {"result":...} or {"error":"..."}. A request has "do"
// and what that needs:
//
//	load-jwks  jwks                        the keys of the set, each with what is known of it
//	load-pem   pem                         the keys of the file, which is to be PKCS#8, each with its public JWK
//	sign       payload, kid, alg,          the compact JWS; alg may be missing where the key has one
//	           and jwks or pem
//	verify     jwks, jws                   the payload, and the key that the signature is checked with: that of its header
//	generate   alg, kid, bits              a new key as JWK and in the forms of PEM; bits is for RSA, 2048 if missing
//
// Errors quote nothing of a key. It ends when standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

type request struct {
	Do      string          `json:"do"`
	JWKS    json.RawMessage `json:"jwks"`
	PEM     string          `json:"pem"`
	JWS     string          `json:"jws"`
	Payload string          `json:"payload"`
	KID     string          `json:"kid"`
	Alg     string          `json:"alg"`
	Bits    int             `json:"bits"`
}

type answer struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "jose:", err)
		os.Exit(1)
	}
}

func serve(requests io.Reader, answers io.Writer) error {
	lines, out := bufio.NewReader(requests), json.NewEncoder(answers)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.Encode(respond(line)); err != nil {
			return err
		}
	}
}

func respond(line []byte) answer {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return answer{Error: "the request is no JSON of the known form"}
	}
	result, err := r.do()
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Result: result}
}

func (r request) do() (any, error) {
	switch r.Do {
	case "load-jwks":
		return loadJWKS(r.JWKS)
	case "load-pem":
		return loadPEM(r.PEM)
	case "sign":
		return r.sign()
	case "verify":
		return verify(r.JWKS, r.JWS)
	case "generate":
		return generate(r.Alg, r.KID, r.Bits)
	}
	return nil, fmt.Errorf("nothing is known that is called %q", r.Do)
}
