package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes the bill of materials of the operator's binary, in CycloneDX: the crates that are linked into it, the
// standard library of Rust, and the libraries of the system that a static binary has in it. Crates that only build or test it,
// and macros, are not in it.
func writeBill(target string, to io.Writer) error {
	at, err := sourceTime()
	if err != nil {
		return err
	}
	linked, err := linkedCrates(target)
	if err != nil {
		return err
	}
	known, err := knownCrates(target)
	if err != nil {
		return err
	}
	system, err := systemLibraries()
	if err != nil {
		return err
	}
	bill, err := describe(linked, known, system)
	if err != nil {
		return err
	}
	bill.Metadata.Timestamp = at.Format(time.RFC3339)
	encoder := cdx.NewBOMEncoder(to, cdx.BOMFileFormatJSON).SetPretty(true)
	return encoder.EncodeVersion(bill, cdx.SpecVersion1_6)
}

// describe puts the bill together. The operator itself is its subject; what is of no crate is a dependency of it.
func describe(linked tree, known map[crate]details, system []cdx.Component) (*cdx.BOM, error) {
	operator, err := component(linked.root, known)
	if err != nil {
		return nil, err
	}
	operator.Type = cdx.ComponentTypeApplication
	operator.Description = known[linked.root].Description
	operator.ExternalReferences = &[]cdx.ExternalReference{
		{Type: cdx.ERTypeVCS, URL: known[linked.root].Repository},
	}

	var components []cdx.Component
	var dependencies []cdx.Dependency
	for _, crate := range linked.crates {
		needs := []string{}
		for _, other := range linked.needs[crate] {
			needs = append(needs, other.reference())
		}
		if crate == linked.root {
			for _, library := range system {
				needs = append(needs, library.BOMRef)
			}
		} else {
			component, err := component(crate, known)
			if err != nil {
				return nil, err
			}
			components = append(components, component)
		}
		dependencies = append(dependencies, cdx.Dependency{Ref: crate.reference(), Dependencies: &needs})
	}
	components = append(components, system...)

	bill := cdx.NewBOM()
	bill.Metadata = &cdx.Metadata{Component: &operator}
	bill.Components, bill.Dependencies = &components, &dependencies
	return bill, nil
}

func component(crate crate, known map[crate]details) (cdx.Component, error) {
	details, is := known[crate]
	if !is || details.License == "" {
		return cdx.Component{}, fmt.Errorf("%s %s does not say its licence", crate.name, crate.version)
	}
	component := library(crate.name, crate.version, crate.reference(), details.License)
	if details.checksum != "" {
		component.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: details.checksum}}
	}
	return component, nil
}

func library(name, version, purl, licence string) cdx.Component {
	// The slash is how crates wrote "or" before there were expressions.
	licence = strings.Join(strings.Fields(strings.ReplaceAll(licence, "/", " OR ")), " ")
	return cdx.Component{
		Type:       cdx.ComponentTypeLibrary,
		BOMRef:     purl,
		Name:       name,
		Version:    version,
		PackageURL: purl,
		Licenses:   &cdx.Licenses{{Expression: licence}},
	}
}
