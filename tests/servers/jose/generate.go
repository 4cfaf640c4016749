package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

type generated struct {
	JWK   jose.JSONWebKey `json:"jwk"`
	PKCS8 string          `json:"pkcs8,omitempty"`
	PKCS1 string          `json:"pkcs1,omitempty"` // RSA
	SEC1  string          `json:"sec1,omitempty"`  // EC
}

func generate(alg, kid string, bits int) (*generated, error) {
	k, err := newKey(alg, bits)
	if err != nil {
		return nil, err
	}
	made := &generated{JWK: jose.JSONWebKey{Key: k, KeyID: kid, Algorithm: alg, Use: "sig"}}
	if _, symmetric := k.([]byte); symmetric {
		return made, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, err
	}
	made.PKCS8 = encodePEM("PRIVATE KEY", der)
	switch k := k.(type) {
	case *rsa.PrivateKey:
		made.PKCS1 = encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
	case *ecdsa.PrivateKey:
		if der, err = x509.MarshalECPrivateKey(k); err != nil {
			return nil, err
		}
		made.SEC1 = encodePEM("EC PRIVATE KEY", der)
	}
	return made, nil
}

func newKey(alg string, bits int) (any, error) {
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		if bits == 0 {
			bits = 2048
		}
		return rsa.GenerateKey(rand.Reader, bits)
	case alg == "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case alg == "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case alg == "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case alg == "EdDSA":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	case alg == "HS256":
		return secret(32), nil
	case alg == "HS512":
		return secret(64), nil
	}
	return nil, fmt.Errorf("no key is made for %q", alg)
}

func secret(size int) []byte {
	secret := make([]byte, size)
	rand.Read(secret) // never fails
	return secret
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
