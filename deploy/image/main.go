// Makes the image of the operator without a container engine. deploy/image/build runs it, from the root of the repository.
//
//	image sbom -target TRIPLE                                      writes the bill of materials of the binary to stdout
//	image assemble -binary FILE -sbom FILE -revision ID -to DIR    writes the image and its bill as an OCI layout
//	image push -from DIR NAME                                      pushes both to a registry
//
// SOURCE_DATE_EPOCH, in seconds, is the time that all of it is given.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say sbom, assemble or push")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	switch args[0] {
	case "sbom":
		target := flags.String("target", "", "target triple of the binary")
		flags.Parse(args[1:])
		return writeBill(*target, os.Stdout)
	case "assemble":
		var parts parts
		flags.StringVar(&parts.binary, "binary", "", "static executable")
		flags.StringVar(&parts.bill, "sbom", "", "its bill of materials")
		flags.StringVar(&parts.licence, "licence", "", "text of its licence")
		flags.StringVar(&parts.revision, "revision", "", "commit that it was built from")
		flags.Int64Var(&parts.limit, "limit", 0, "bytes that the image may have unpacked, 0: any number")
		to := flags.String("to", "", "folder of the OCI layout")
		flags.Parse(args[1:])
		return assemble(parts, *to)
	case "push":
		from := flags.String("from", "", "folder of the OCI layout")
		flags.Parse(args[1:])
		if flags.NArg() != 1 {
			return fmt.Errorf("name the one image to push to")
		}
		return push(*from, flags.Arg(0))
	default:
		return fmt.Errorf("%q is not known", args[0])
	}
}

// sourceTime is the time of the sources, so that whoever builds them again gets the same image.
func sourceTime() (time.Time, error) {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
