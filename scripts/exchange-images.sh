#!/bin/bash
# Exchanges images with other tools in both directions and says where digests stay: one line each, EQUAL or DIFFERENT. A tool that is not installed is left out.
#   REGISTRY=127.0.0.1:5000 JETTISON="node $PWD/src/main.ts" scripts/exchange-images.sh
# JETTISON: the command, with whole paths. REGISTRY: one without TLS and without users, which the tools reach. The files that tools hand to each other lie below TMPDIR. BASE: an image that all of them can have, by
# default $REGISTRY/busybox:1, made here with Docker's busybox:latest if there is a docker.
set -uo pipefail
R=${REGISTRY:?address of a registry}
J=${JETTISON:-jettison}
X=$(mktemp -d "${TMPDIR:-/tmp}/exchange-XXXXXX")
P="x$$"
trap 'rm -rf "$X"' EXIT
export JETTISON_STORE=$X/store
cd "$X" || exit 1
differences=0

has() { command -v "$1" >/dev/null; }
same() { # WHAT ONE OTHER
  if [ -n "$2" ] && [ "$2" = "$3" ]; then echo "EQUAL      $1"; else echo "DIFFERENT  $1: ${2:0:300} / ${3:0:300}"; differences=$((differences + 1)); fi
}
works() { # WHAT COMMAND...
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then echo "WORKS      $what"; else echo "FAILS      $what: $(tail -n 1 <<<"$said")"; differences=$((differences + 1)); fi
}
accepted='application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json'
digest() { curl -fs -o "$X/document" -H "Accept: $accepted" "http://$R/v2/$1/manifests/$2" && echo "sha256:$(sha256sum <"$X/document" | cut -d' ' -f1)"; } # REPOSITORY TAG
id() { $J images -q --no-trunc "$1"; }
inLayout() { tr -d ' \n' <"$1/index.json" | sed -E 's/^.*"manifests":\[\{"mediaType":"[^"]*",("size":[0-9]+,)?"digest":"(sha256:[0-9a-f]+)".*/\2/'; } # FOLDER with one manifest
fresh() { rm -rf "$X/other" 2>/dev/null || { sleep 1 && rm -rf "$X/other"; }; } # The last command's store may still be tended
again() { # FROM TO: a store that has nothing else pulls it and pushes it under another name
  fresh
  JETTISON_STORE=$X/other $J pull -q --all-platforms "$R/$P/$1" >/dev/null && JETTISON_STORE=$X/other $J tag "$R/$P/$1" "$R/$P/$2" && JETTISON_STORE=$X/other $J push -q "$R/$P/$2" >/dev/null
}

# What is exchanged: gzip and zstd, annotations, an index of two platforms, attestations.
if has docker; then docker save -o "$X/base.tar" busybox:latest && $J load -q -i "$X/base.tar" >/dev/null; else $J pull -q "${BASE:-$R/busybox:1}" >/dev/null && $J tag "${BASE:-$R/busybox:1}" busybox:latest; fi
mkdir "$X/src"
printf 'FROM busybox:latest\n' | $J build -q -o "type=image,name=$R/$P/base:1,push=true,compression=gzip,force-compression=true" - >/dev/null
$J rmi -f busybox:latest "$R/$P/base:1" >/dev/null && $J pull -q "$R/$P/base:1" >/dev/null && $J tag "$R/$P/base:1" busybox:latest
printf 'FROM busybox:latest\nRUN mkdir /a && echo one >/a/one && ln /a/one /a/two && chmod 4711 /a/one\nENV C=red\nCMD ["cat","/a/two"]\n' >"$X/src/Dockerfile"
printf 'FROM --platform=$BUILDPLATFORM busybox:latest AS b\nARG TARGETARCH\nRUN echo $TARGETARCH > /x\nFROM scratch\nCOPY --from=b /x /x\nCMD ["/x"]\n' >"$X/src/two"
build() { $J build -q --network host "$@" "$X/src" >/dev/null || echo "FAILS      build $*"; }
build -o "type=image,name=$R/$P/gzip:1,push=true,annotation.one=1" --annotation manifest:org.example.two=2
build -o "type=image,name=$R/$P/zstd:1,push=true,compression=zstd,force-compression=true"
build -f "$X/src/two" --platform linux/amd64,linux/arm64 --annotation index:org.example.index=1 --push -t "$R/$P/two:1"
build --provenance=mode=max --sbom=true --push -t "$R/$P/told:1"
all='gzip zstd two told'

if has crane; then
  for n in $all; do
    d=$(digest "$P/$n" 1)
    same "crane digest of our $n" "$(crane digest --insecure "$R/$P/$n:1")" "$d"
    # It takes every layer for gzip.
    { [ "$n" = gzip ] || [ "$n" = two ]; } && works "crane validate of our $n" crane validate --insecure --remote "$R/$P/$n:1"
    crane copy --insecure "$R/$P/$n:1" "$R/$P/crane-$n:1" 2>/dev/null
    same "our $n, crane copy" "$(digest "$P/crane-$n" 1)" "$d"
    crane pull --insecure --format oci "$R/$P/$n:1" "$X/crane-$n" 2>/dev/null
    same "our $n, crane pull to a layout" "$(inLayout "$X/crane-$n")" "$d"
    crane push --insecure "$X/crane-$n" "$R/$P/crane-$n:2" >/dev/null 2>&1
    same "our $n, crane push of that layout" "$(digest "$P/crane-$n" 2)" "$d"
    again "crane-$n:2" "crane-$n:3"
    same "our $n from crane: pull and push" "$(digest "$P/crane-$n" 3)" "$d"
  done
  $J pull -q "$R/$P/gzip:1" >/dev/null
  $J save -o "$X/ours.tar" "$R/$P/gzip:1"
  crane push --insecure "$X/ours.tar" "$R/$P/archive:1" >/dev/null 2>&1
  same "our save, crane push: id" "sha256:$(crane config --insecure "$R/$P/archive:1" | sha256sum | cut -d' ' -f1)" "$(id "$R/$P/gzip:1")"
  crane pull --insecure "$R/$P/gzip:1" "$X/crane.tar" 2>/dev/null
  $J rmi -f "$R/$P/gzip:1" >/dev/null
  $J load -q -i "$X/crane.tar" >/dev/null
  same "crane pull to an archive, our load: id" "$(id "$R/$P/gzip:1")" "sha256:$(crane config --insecure "$R/$P/gzip:1" | sha256sum | cut -d' ' -f1)"
  tar -C "$X/src" -cf "$X/more.tar" Dockerfile
  crane append --insecure -b "$R/$P/gzip:1" -f "$X/more.tar" -t "$R/$P/appended:1" >/dev/null 2>&1
  crane mutate --insecure "$R/$P/appended:1" --label by=crane --annotation a=b --cmd cat,/Dockerfile -t "$R/$P/mutated:1" >/dev/null 2>&1
  crane flatten --insecure "$R/$P/mutated:1" -t "$R/$P/flat:1" >/dev/null 2>&1
  crane index append --insecure -m "$R/$P/gzip:1" -m "$R/$P/mutated:1" -t "$R/$P/made-index:1" >/dev/null 2>&1
  for n in appended mutated flat made-index; do
    again "$n:1" "$n:2"
    same "made by crane ($n): pull and push" "$(digest "$P/$n" 2)" "$(digest "$P/$n" 1)"
  done
  $J pull -q "$R/$P/mutated:1" >/dev/null
  same "made by crane (mutated): its labels" "$($J image inspect -f '{{json .Config.Labels}}' "$R/$P/mutated:1")" '{"by":"crane"}'
fi

if has oras; then
  for n in $all; do
    d=$(digest "$P/$n" 1)
    same "oras resolve of our $n" "$(oras resolve --plain-http "$R/$P/$n:1")" "$d"
    oras cp -r --from-plain-http --to-oci-layout "$R/$P/$n:1" "$X/oras-$n:1" >/dev/null 2>&1
    same "our $n, oras cp to a layout" "$(oras resolve --oci-layout "$X/oras-$n:1")" "$d"
    oras cp -r --from-oci-layout --to-plain-http "$X/oras-$n:1" "$R/$P/oras-$n:1" >/dev/null 2>&1
    same "our $n, oras cp of that layout" "$(digest "$P/oras-$n" 1)" "$d"
    again "oras-$n:1" "oras-$n:2"
    same "our $n from oras: pull and push" "$(digest "$P/oras-$n" 2)" "$d"
    tar -C "$X/oras-$n" -cf "$X/oras-$n.tar" .
    fresh
    JETTISON_STORE=$X/other works "our $n, the layout of oras as a tar, our load" $J load -q -i "$X/oras-$n.tar"
  done
  # Where an image is made its manifest is, too, whatever was pulled beside: another store.
  fresh
  JETTISON_STORE=$X/other $J pull -q "$R/$P/gzip:1" >/dev/null
  JETTISON_STORE=$X/other $J save --format oci -o "$X/ours-oci.tar" "$R/$P/gzip:1"
  works 'our save --format oci, oras cp from the archive' oras cp --from-oci-layout --to-plain-http "$X/ours-oci.tar:1" "$R/$P/oras-saved:1"
  same 'the same: manifest' "$(digest "$P/oras-saved" 1)" "$(digest "$P/gzip" 1)"
  (cd "$X/src" && oras push --plain-http --artifact-type application/vnd.example.thing "$R/$P/thing:1" Dockerfile:text/plain >/dev/null 2>&1)
  echo "           our pull of an artifact: $($J pull -q "$R/$P/thing:1" 2>&1 | head -n 1)"
  works 'our imagetools inspect of an artifact' $J buildx imagetools inspect "$R/$P/thing:1"
  (cd "$X/src" && oras attach --plain-http --artifact-type application/vnd.example.sig "$R/$P/gzip:1" Dockerfile:text/plain >/dev/null 2>&1)
  same 'oras attach leaves our image as it is' "$(oras resolve --plain-http "$R/$P/gzip:1")" "$(digest "$P/gzip" 1)"
fi

if has skopeo; then
  for n in $all; do
    d=$(digest "$P/$n" 1)
    skopeo copy -q --all --src-tls-verify=false "docker://$R/$P/$n:1" "oci:$X/skopeo-$n:1" && skopeo copy -q --all --dest-tls-verify=false "oci:$X/skopeo-$n:1" "docker://$R/$P/skopeo-$n:1"
    same "our $n, skopeo copy to a layout and back" "$(digest "$P/skopeo-$n" 1)" "$d"
  done
  has umoci && for n in gzip zstd; do works "our $n, umoci unpack" umoci unpack --image "$X/skopeo-$n:1" "$X/bundle-$n"; done
fi

for t in podman buildah; do
  has $t || continue
  tool() { $t --root "$X/$t" --runroot "$X/$t-run" --storage-driver vfs "$@"; }
  idThere() { tool images -q --no-trunc "$1" | sed 's/sha256://; s/^/sha256:/' | sort -u | head -n 1; }
  $J pull -q "$R/$P/gzip:1" >/dev/null
  for n in gzip zstd told; do
    tool pull -q --tls-verify=false "$R/$P/$n:1" >/dev/null 2>&1
    same "our $n, $t pull: id" "$(idThere "$R/$P/$n:1")" "$(id "$R/$P/gzip:1")"
    tool push -q --tls-verify=false "$R/$P/$n:1" "docker://$R/$P/$t-$n:1" >/dev/null 2>&1
    $J pull -q "$R/$P/$t-$n:1" >/dev/null
    same "the same, $t push, our pull: id" "$(id "$R/$P/$t-$n:1")" "$(id "$R/$P/gzip:1")"
    tool rmi -af >/dev/null 2>&1
  done
  printf 'FROM %s/%s/gzip:1\nLABEL by=%s\n' "$R" "$P" $t >"$X/src/by"
  tool build -q --tls-verify=false --isolation chroot -t by:1 -f "$X/src/by" "$X/src" >/dev/null 2>&1
  for f in oci docker; do
    rm -f "$X/by.tar"
    tool push -q by:1 "$f-archive:$X/by.tar:localhost/by-$t:$f" >/dev/null 2>&1
    $J load -q -i "$X/by.tar" >/dev/null
    works "made by $t, $f-archive, our load and run" $J run --rm --network none "localhost/by-$t:$f"
  done
  $J save --format oci -o "$X/s.tar" "localhost/by-$t:oci"
  same "the same, our save --format oci, $t pull oci-archive: id" "sha256:$(tool pull -q "oci-archive:$X/s.tar" 2>/dev/null | tail -n 1 | sed 's/sha256://')" "$(id "localhost/by-$t:oci")"
done

if has docker; then
  # With containerd's image store an image is its manifest, with docker's own its configuration.
  whole=
  [[ $(docker info 2>/dev/null) == *io.containerd.snapshotter* ]] && whole=yes
  idFor() { if [ -n "$whole" ]; then digest "$P/$1" 1; else id "$R/$P/gzip:1"; fi; }
  for n in gzip zstd told; do
    docker pull -q "$R/$P/$n:1" >/dev/null 2>&1
    same "our $n, docker pull: id" "$(docker images -q --no-trunc "$R/$P/$n:1")" "$(idFor "$n")"
  done
  works 'our two, docker pull --platform' docker pull -q --platform linux/arm64 "$R/$P/two:1"
  docker tag "$R/$P/gzip:1" "$R/$P/docker:1" && docker push -q "$R/$P/docker:1" >/dev/null && $J pull -q "$R/$P/docker:1" >/dev/null
  same 'docker push, our pull: id' "$(id "$R/$P/docker:1")" "$(id "$R/$P/gzip:1")"
  docker save -o "$X/docker.tar" "$R/$P/docker:1" && $J rmi -f "$R/$P/docker:1" >/dev/null && $J load -q -i "$X/docker.tar" >/dev/null
  same 'docker save, our load: id' "$(id "$R/$P/docker:1")" "$(id "$R/$P/gzip:1")"
  for f in docker oci; do
    docker rmi -f "$R/$P/gzip:1" >/dev/null
    rm -f "$X/ours-again.tar" && $J save --format $f -o "$X/ours-again.tar" "$R/$P/gzip:1"
    [ $f = oci ] && [ -z "$whole" ] || works "our save --format $f, docker load and run" sh -c "docker load -q -i $X/ours-again.tar && docker run --rm --network none $R/$P/gzip:1"
  done
  for n in two told; do
    docker buildx imagetools create -t "$R/$P/imagetools-$n:1" "$R/$P/$n:1" >/dev/null 2>&1
    same "our $n, docker buildx imagetools create" "$(digest "$P/imagetools-$n" 1)" "$(digest "$P/$n" 1)"
  done
  seen() { # NAME TAG: both inspect it
    local what
    for what in '{{json .Provenance}}' '{{json .SBOM}}' '{{json .Manifest}}' '{{json .Image}}' '{{json .}}' ''; do
      same "imagetools inspect ${what:-without --format} of $1" "$($J buildx imagetools inspect --format "$what" "$R/$P/$1")" "$(docker buildx imagetools inspect --format "$what" "$R/$P/$1" | sed 's/ *$//')"
    done
    same "imagetools inspect --raw of $1" "$($J buildx imagetools inspect --raw "$R/$P/$1")" "$(docker buildx imagetools inspect --raw "$R/$P/$1")"
  }
  for n in $all; do seen "$n:1"; done
  # BuildKit's own attestations: docker's own image store refuses them.
  if [ -n "$whole" ]; then
    for n in one two; do
      platforms=$([ $n = two ] && echo linux/amd64,linux/arm64 || echo linux/amd64)
      docker buildx build -q --network host --provenance=mode=max --platform "$platforms" --annotation index:org.example.by=buildkit -o "type=oci,dest=$X/bk-$n.tar" -f "$X/src/two" "$X/src" >/dev/null || continue
      mkdir "$X/bk-$n" && tar -C "$X/bk-$n" -xf "$X/bk-$n.tar"
      d=$(inLayout "$X/bk-$n")
      skopeo copy -q --all --dest-tls-verify=false "oci-archive:$X/bk-$n.tar" "docker://$R/$P/bk-$n:1"
      same "BuildKit's $n with provenance, skopeo copy" "$(digest "$P/bk-$n" 1)" "$d"
      docker buildx build -q --network host --provenance=mode=max --platform "$platforms" --annotation index:org.example.by=buildkit --push -t "$R/$P/pushed-$n:1" -f "$X/src/two" "$X/src" >/dev/null
      again "bk-$n:1" "bk-$n:2"
      same "the same: our pull and push" "$(digest "$P/bk-$n" 2)" "$d"
      again "pushed-$n:1" "pushed-$n:2"
      same "the same, pushed by BuildKit: our pull and push" "$(digest "$P/pushed-$n" 2)" "$(digest "$P/pushed-$n" 1)"
      JETTISON_STORE=$X/other $J save --format oci -o "$X/bk-saved.tar" "$R/$P/pushed-$n:1"
      fresh
      JETTISON_STORE=$X/other $J load -q -i "$X/bk-saved.tar" >/dev/null && JETTISON_STORE=$X/other $J tag "$R/$P/pushed-$n:1" "$R/$P/pushed-$n:3" && JETTISON_STORE=$X/other $J push -q "$R/$P/pushed-$n:3" >/dev/null
      same "the same: our save --format oci, load and push" "$(digest "$P/pushed-$n" 3)" "$(digest "$P/pushed-$n" 1)"
      fresh
      JETTISON_STORE=$X/other works "BuildKit's archive of $n, our load" $J load -q -i "$X/bk-$n.tar"
      seen "pushed-$n:1"
    done
  fi
  docker images --format '{{.Repository}}:{{.Tag}}' | grep "^$R/$P/" | xargs -r docker rmi -f >/dev/null
fi

echo "$differences different"
[ $differences = 0 ]
