// Command containerd copies an image from one repository to another by containerd's own resolver, as its daemon does without one.
//
//	containerd FROM TO USER PASSWORD
//
// It prints the digest that FROM's tag stands for, and how long the part of its first layer is that was asked for from byte 1 on.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	if len(os.Args) != 5 {
		fail(errors.New("usage: containerd FROM TO USER PASSWORD"))
	}
	if err := copyImage(context.Background(), os.Args[1], os.Args[2], resolver(os.Args[3], os.Args[4])); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func resolver(user, password string) remotes.Resolver {
	credentials := docker.WithAuthCreds(func(string) (string, string, error) { return user, password, nil })
	return docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithAuthorizer(docker.NewDockerAuthorizer(credentials)),
		docker.WithPlainHTTP(docker.MatchAllHosts),
	)})
}

func copyImage(ctx context.Context, from, to string, registry remotes.Resolver) error {
	name, image, err := registry.Resolve(ctx, from)
	if err != nil {
		return err
	}
	fetcher, err := registry.Fetcher(ctx, name)
	if err != nil {
		return err
	}
	pusher, err := registry.Pusher(ctx, to)
	if err != nil {
		return err
	}
	body, err := fetch(ctx, fetcher, image)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(body, &manifest); err != nil {
		return err
	}
	for _, blob := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		bytes, err := fetch(ctx, fetcher, blob)
		if err != nil {
			return err
		}
		if err := push(ctx, pusher, blob, bytes); err != nil {
			return err
		}
	}
	if err := push(ctx, pusher, image, body); err != nil {
		return err
	}
	rest, err := restOf(ctx, fetcher, manifest.Layers[0])
	if err != nil {
		return err
	}
	fmt.Println(image.Digest, rest)
	return nil
}

// fetch checks size and digest, which containerd does where it stores.
func fetch(ctx context.Context, fetcher remotes.Fetcher, what ocispec.Descriptor) ([]byte, error) {
	body, err := fetcher.Fetch(ctx, what)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	all, err := io.ReadAll(io.LimitReader(body, what.Size+1))
	if err == nil && (int64(len(all)) != what.Size || what.Digest.Algorithm().FromBytes(all) != what.Digest) {
		err = fmt.Errorf("%s: %d bytes that are not it", what.Digest, len(all))
	}
	return all, err
}

// restOf seeks in what is fetched, for which the resolver asks for a range.
func restOf(ctx context.Context, fetcher remotes.Fetcher, what ocispec.Descriptor) (int64, error) {
	body, err := fetcher.Fetch(ctx, what)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if _, err := body.(io.Seeker).Seek(1, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, body)
}

func push(ctx context.Context, pusher remotes.Pusher, what ocispec.Descriptor, body []byte) error {
	writer, err := pusher.Push(ctx, what)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer writer.Close()
	if _, err := io.Copy(writer, bytes.NewReader(body)); err != nil {
		return err
	}
	err = writer.Commit(ctx, what.Size, what.Digest)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}
