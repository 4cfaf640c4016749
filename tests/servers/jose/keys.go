package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// What is known of a key. Size is that of the modulus, of the curve's field, or of the secret, in bits.
type key struct {
	KID        string `json:"kid"`
	Alg        string `json:"alg"`
	Use        string `json:"use"`
	Type       string `json:"kty"`
	Size       int    `json:"size"`
	Private    bool   `json:"private"`
	Valid      bool   `json:"valid"`
	Thumbprint string `json:"thumbprint"` // RFC 7638, SHA-256; go-jose makes none of a secret
}

// One by one: a set as a whole may leave out what go-jose does not know.
func keysOf(jwks json.RawMessage) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil || set.Keys == nil {
		return nil, errors.New("it is no JSON Web Key set")
	}
	keys := make([]jose.JSONWebKey, len(set.Keys))
	for i, raw := range set.Keys {
		if err := keys[i].UnmarshalJSON(raw); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
	}
	return keys, nil
}

func loadJWKS(jwks json.RawMessage) ([]key, error) {
	keys, err := keysOf(jwks)
	if err != nil {
		return nil, err
	}
	loaded := make([]key, len(keys))
	for i, k := range keys {
		if loaded[i], err = describe(k); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
	}
	return loaded, nil
}

func describe(k jose.JSONWebKey) (key, error) {
	kty, size, private, err := kind(k.Key)
	if err != nil {
		return key{}, err
	}
	var thumbprint []byte
	if kty != "oct" {
		thumbprint, err = k.Thumbprint(crypto.SHA256)
	}
	return key{
		KID: k.KeyID, Alg: k.Algorithm, Use: k.Use, Type: kty, Size: size, Private: private, Valid: k.Valid(),
		Thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint),
	}, err
}

func kind(k any) (kty string, size int, private bool, err error) {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return "RSA", k.N.BitLen(), true, k.Validate()
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen(), false, nil
	case *ecdsa.PrivateKey:
		return "EC", k.Params().BitSize, true, onCurve(k)
	case *ecdsa.PublicKey:
		return "EC", k.Params().BitSize, false, nil
	case ed25519.PrivateKey:
		if !ed25519.NewKeyFromSeed(k.Seed()).Equal(k) {
			return "", 0, false, errors.New("the private half does not belong to the public one")
		}
		return "OKP", 256, true, nil
	case ed25519.PublicKey:
		return "OKP", 256, false, nil
	case []byte:
		return "oct", 8 * len(k), true, nil
	}
	return "", 0, false, fmt.Errorf("a key of type %T is not known", k)
}

// Whether the private half belongs to the public one.
func onCurve(k *ecdsa.PrivateKey) error {
	scalar, err := k.ECDH()
	if err != nil {
		return err
	}
	public, err := k.PublicKey.ECDH()
	if err != nil {
		return err
	}
	if !scalar.PublicKey().Equal(public) {
		return errors.New("the private half does not belong to the public one")
	}
	return nil
}

type pemKey struct {
	Type   string          `json:"kty"`
	Size   int             `json:"size"`
	Public jose.JSONWebKey `json:"public"`
}

func loadPEM(text string) ([]pemKey, error) {
	keys, err := parsePEM(text)
	if err != nil {
		return nil, err
	}
	loaded := make([]pemKey, len(keys))
	for i, k := range keys {
		kty, size, _, err := kind(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		public := k.(interface{ Public() crypto.PublicKey }).Public()
		loaded[i] = pemKey{kty, size, jose.JSONWebKey{Key: public}}
	}
	return loaded, nil
}

// Strict, as some readers are: PKCS#8 blocks and nothing between or after them.
func parsePEM(text string) (keys []any, err error) {
	for rest := strings.TrimSpace(text); rest != ""; {
		block, after := pem.Decode([]byte(rest))
		if block == nil || !strings.HasPrefix(rest, "-----BEGIN ") {
			return nil, errors.New("it is no PEM")
		}
		if block.Type != "PRIVATE KEY" {
			return nil, fmt.Errorf("it is PEM of type %q, not PKCS#8", block.Type)
		}
		k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		keys, rest = append(keys, k), strings.TrimSpace(string(after))
	}
	if keys == nil {
		return nil, errors.New("it has no key")
	}
	return keys, nil
}
