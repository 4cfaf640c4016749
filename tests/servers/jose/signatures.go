package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
	jose.EdDSA, jose.HS256, jose.HS512,
}

func (r request) sign() (string, error) {
	k, err := r.signingKey()
	if err != nil {
		return "", err
	}
	alg := r.Alg
	if alg == "" {
		alg = k.Algorithm
	}
	// go-jose itself leaves the name of a secret out.
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", k.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k}, options)
	if err != nil {
		return "", err
	}
	signature, err := signer.Sign([]byte(r.Payload))
	if err != nil {
		return "", err
	}
	return signature.CompactSerialize()
}

func (r request) signingKey() (*jose.JSONWebKey, error) {
	if r.PEM != "" {
		keys, err := parsePEM(r.PEM)
		if err != nil {
			return nil, err
		}
		return &jose.JSONWebKey{Key: keys[0], KeyID: r.KID}, nil
	}
	k, err := keyOf(r.JWKS, r.KID)
	if err == nil && k.IsPublic() {
		err = errors.New("the key has no private half")
	}
	return k, err
}

// keyOf finds the one key with an id.
func keyOf(jwks json.RawMessage, kid string) (*jose.JSONWebKey, error) {
	keys, err := keysOf(jwks)
	if err != nil {
		return nil, err
	}
	found := jose.JSONWebKeySet{Keys: keys}
	switch keys := found.Key(kid); len(keys) {
	case 1:
		return &keys[0], nil
	case 0:
		return nil, fmt.Errorf("the set has no key %q", kid)
	default:
		return nil, fmt.Errorf("the set has %d keys %q", len(keys), kid)
	}
}

type verified struct {
	Payload string `json:"payload"`
	KID     string `json:"kid"`
	Alg     string `json:"alg"`
}

func verify(jwks json.RawMessage, jws string) (*verified, error) {
	signed, err := jose.ParseSigned(jws, algorithms)
	if err != nil {
		return nil, err
	}
	if len(signed.Signatures) != 1 {
		return nil, errors.New("it has not one signature")
	}
	header := signed.Signatures[0].Protected
	k, err := keyOf(jwks, header.KeyID)
	if err != nil {
		return nil, err
	}
	if k.Algorithm != "" && k.Algorithm != header.Algorithm {
		return nil, fmt.Errorf("it is signed with %s by a key for %s", header.Algorithm, k.Algorithm)
	}
	payload, err := signed.Verify(k)
	if err != nil {
		return nil, err
	}
	return &verified{string(payload), header.KeyID, header.Algorithm}, nil
}
