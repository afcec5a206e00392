/**
 * Names of images: `registry/repository:tag@digest`, with Docker's defaults. Grammar: OCI distribution spec, "Pulling manifests",
 * and the `reference` package of the distribution project.
 */
import { parseDigest, isDigest, type Digest } from '#ground/base/digest-form.ts';
import { JettisonError } from '#ground/base/errors.ts';

export type Reference = {
  /** `docker.io`, `ghcr.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/busybox` */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
};

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const registryGrammar = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`, 'u');
const repositoryGrammar = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/u;
const tagGrammar = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/u;
const longestName = 255;
const longestText = 600;
const hub = 'docker.io';

/**
 * A name as people type it, with Docker's registry and `library/` put in; no tag is added (see `withDefaultTag`).
 * Throws `oci/invalid-reference`; `oci/reserved-name` for `scratch`.
 */
export function parseReference(text: string): Reference {
  if (text.length > longestText) refuse(text, 'invalid reference format: it is too long');
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : readDigest(text, text.slice(at + 1));
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !tagGrammar.test(tag)) refuse(text, 'invalid reference format');
  const { registry, repository } = splitName(colon === -1 ? named : named.slice(0, colon));
  checkName(text, registry, repository);
  if (registry === hub && repository === 'library/scratch') {
    throw new JettisonError('oci/reserved-name', `'scratch' is a reserved name`, {
      hint: 'It is the empty image: it can only be used in FROM',
    });
  }
  return { registry, repository, tag, digest };
}

/** The same reference with `latest` where it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

/** In full: `docker.io/library/busybox:latest@sha256:...`. */
export function printReference(reference: Reference): string {
  return `${nameOf(reference)}${suffix(reference)}`;
}

/** Registry and repository without tag and digest: `docker.io/library/busybox`. */
export function nameOf(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** As docker prints it: without `docker.io/` and `library/`. */
export function familiarReference(reference: Reference): string {
  return `${familiarName(reference)}${suffix(reference)}`;
}

/** The name alone, as docker prints it: `busybox`, `ghcr.io/owner/app`; in full where the short form would be read as another registry. */
export function familiarName(reference: Reference): string {
  if (reference.registry !== hub) return nameOf(reference);
  const rest = /^library\/([^/]+)$/u.exec(reference.repository);
  const short = rest?.[1] ?? reference.repository;
  return splitName(short).registry === hub ? short : nameOf(reference);
}

function suffix(reference: Reference): string {
  return `${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`;
}

/** Is it the name of a repository within a registry: `library/busybox`? */
export function isRepositoryName(text: string): boolean {
  return text.length <= longestName && repositoryGrammar.test(text);
}

export function isTag(text: string): boolean {
  return tagGrammar.test(text);
}

/** The first part is a registry when it looks like a host: a dot, a colon, `localhost`, or a capital letter in it. */
function splitName(name: string): { readonly registry: string; readonly repository: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = /[.:]/u.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const registry = !isHost || first === 'index.docker.io' ? hub : first;
  const rest = isHost ? name.slice(slash + 1) : name;
  return { registry, repository: registry === hub && !rest.includes('/') ? `library/${rest}` : rest };
}

function checkName(text: string, registry: string, repository: string): void {
  if (registry.length + 1 + repository.length > longestName) {
    refuse(text, `invalid reference format: repository name must not be more than ${longestName} characters`);
  }
  if (!repositoryGrammar.test(repository)) {
    const lower = repository.toLowerCase();
    if (repositoryGrammar.test(lower) && registryGrammar.test(registry)) {
      refuse(text, `invalid reference format: repository name (${repository}) must be lowercase`, `Did you mean "${text.toLowerCase()}"?`);
    }
    refuse(text, 'invalid reference format');
  }
  if (!registryGrammar.test(registry)) refuse(text, 'invalid reference format');
  if (/^library\/[a-f0-9]{64}$/u.test(repository)) {
    refuse(text, 'invalid repository name: cannot specify 64-byte hexadecimal strings', 'Put "sha256:" before an image ID');
  }
}

function readDigest(text: string, digest: string): Digest {
  if (!isDigest(digest)) refuse(text, 'invalid reference format: invalid digest', 'A digest is "sha256:" and 64 hexadecimal digits');
  return parseDigest(digest);
}

function refuse(text: string, why: string, hint?: string): never {
  const shown = text.length > 160 ? `${text.slice(0, 160)}...` : text;
  throw new JettisonError('oci/invalid-reference', `Cannot parse reference "${shown}": ${why}`, hint === undefined ? {} : { hint });
}
