package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// crate is one version of a crate.
type crate struct{ name, version string }

func (c crate) reference() string { return fmt.Sprintf("pkg:cargo/%s@%s", c.name, c.version) }

// details are what is known of a crate, linked or not.
type details struct {
	License, Description, Repository, checksum string
}

// tree is what is linked into a crate: all crates, sorted, and what each needs of them.
type tree struct {
	root   crate
	crates []crate
	needs  map[crate][]crate
}

// linkedCrates asks `cargo tree`, which resolves features as a build without tests does; `cargo metadata` does not.
func linkedCrates(target string) (tree, error) {
	out, err := output("cargo", "tree", "--locked", "--package=hydra-operator", "--target="+target,
		"--edges=normal,no-proc-macro", "--prefix=depth", "--format= {p}")
	if err != nil {
		return tree{}, err
	}
	linked := tree{needs: map[crate][]crate{}}
	var path []crate // from the root to the present line
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var depth int
		var found crate
		if _, err := fmt.Sscanf(lines.Text(), "%d %s v%s", &depth, &found.name, &found.version); err != nil || depth > len(path) {
			return tree{}, fmt.Errorf("cargo tree: line %q is not understood", lines.Text())
		}
		if path = append(path[:depth], found); depth == 0 {
			linked.root = found
		} else if needs := linked.needs[path[depth-1]]; !slices.Contains(needs, found) {
			linked.needs[path[depth-1]] = append(needs, found)
		}
		if !slices.Contains(linked.crates, found) {
			linked.crates = append(linked.crates, found)
		}
	}
	order := func(a, b crate) int { return strings.Compare(a.reference(), b.reference()) }
	slices.SortFunc(linked.crates, order)
	for _, needs := range linked.needs {
		slices.SortFunc(needs, order)
	}
	return linked, lines.Err()
}

func knownCrates(target string) (map[crate]details, error) {
	out, err := output("cargo", "metadata", "--locked", "--format-version=1", "--filter-platform="+target)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		Packages []struct {
			Name, Version string
			details
		}
	}
	if err := json.Unmarshal(out, &metadata); err != nil {
		return nil, err
	}
	known := map[crate]details{}
	for _, found := range metadata.Packages {
		known[crate{found.Name, found.Version}] = found.details
	}
	return known, addChecksums(known)
}

// addChecksums takes the checksums of the crates' archives from Cargo.lock, which alone has them.
func addChecksums(known map[crate]details) error {
	lock, err := os.Open("Cargo.lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	var current crate
	lines := bufio.NewScanner(lock)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " = ")
		value = strings.Trim(value, `"`)
		switch key {
		case "name":
			current.name = value
		case "version":
			current.version = value
		case "checksum":
			if found, is := known[current]; is {
				found.checksum = value
				known[current] = found
			}
		}
	}
	return lines.Err()
}

func output(program string, args ...string) ([]byte, error) {
	command := exec.Command(program, args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
	}
	return out, nil
}
