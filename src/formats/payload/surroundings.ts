/** What programs look for beside libraries once they run: certificates, time zones, locales. Nothing of it keeps a container from starting. */
import { asByteString, fromText, toText } from '#ground/base/byte-string.ts';
import type { Closure, Remedy, World } from './closure.ts';
import { asPath, joined, nameOf } from './files.ts';
import type { Finding } from './finding.ts';
import type { Look } from './look.ts';

/** Where OpenSSL, GnuTLS and Go's crypto/x509 look on the distributions that there are. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/usr/lib/ssl/cert.pem',
  '/etc/ssl/certs',
].map(asByteString);

const tlsLibraries = /^lib(?:ssl|gnutls|curl|curl-gnutls|mbedtls|wolfssl|nghttp3)\b[^/]*\.so/u;
/** Bytes of a program that are searched for the path of a bundle: Go and Rust have it in programs that use TLS. */
const longestProgram = 256 << 20;
const piece = 8 << 20;

const zones = '/usr/share/zoneinfo';

export function checkSurroundings(closures: readonly Closure[], world: World): readonly Finding[] {
  return [certificates(closures, world), timeZone(world), locale(closures, world)].flatMap((one) => one ?? []);
}

function warning(said: Pick<Finding, 'rule' | 'root' | 'file' | 'message' | 'missing' | 'remedies' | 'hint'>): Finding {
  return { severity: 'warning', ...said };
}

function certificates(closures: readonly Closure[], world: World): Finding | undefined {
  const { look, environment, stages } = world;
  const named = environment.get('SSL_CERT_FILE') ?? environment.get('SSL_CERT_DIR');
  const places = named === undefined ? bundles : [joined(world.workingDirectory, fromText(named))];
  if (places.some((path) => look.find(path) !== undefined)) return undefined;
  const user = closures.find((closure) => usesTls(closure, look));
  const path = user?.objects[0]?.path;
  if (path === undefined) return undefined;
  const stage = stages.find((one) => bundles.some((bundle) => one.look.find(bundle)?.kind === 'file'));
  const source = bundles.find((bundle) => stage?.look.find(bundle)?.kind === 'file');
  const remedies =
    stage === undefined || source === undefined
      ? []
      : [{ stage: stage.name, source, destination: named === undefined ? source : joined(world.workingDirectory, fromText(named)) }];
  const message = `"${toText(path)}" can speak TLS, and the image has no certificates of authorities: connections that are verified will fail`;
  const hint = remedies.length > 0 ? undefined : 'Install ca-certificates, or copy a bundle to /etc/ssl/certs/ca-certificates.crt';
  return warning({
    rule: 'no-certificates',
    root: 'ENTRYPOINT',
    file: toText(path),
    missing: toText(places[0] ?? asByteString('')),
    message,
    remedies,
    hint,
  });
}

function usesTls({ objects }: Closure, look: Look): boolean {
  if (objects.some(({ path }) => tlsLibraries.test(nameOf(path)))) return true;
  const [program] = objects;
  return program !== undefined && holds(program.path, '/etc/ssl/certs/ca-certificates.crt', look);
}

/** Does the file hold these bytes? It is read in pieces that overlap. */
function holds(path: string, text: string, look: Look): boolean {
  const entry = look.find(asPath(path));
  if (entry?.kind !== 'file' || entry.size > longestProgram) return false;
  const needle = new TextEncoder().encode(text);
  return look.use(entry, (file) => {
    for (let at = 0; at < file.size; at += piece) if (indexOf(file.read(at, piece + needle.length), needle) >= 0) return true;
    return false;
  });
}

function indexOf(bytes: Uint8Array, needle: Uint8Array): number {
  const [first = 0] = needle;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (needle.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}

/** TZ as tzset(3) reads it: a name of the database, unless it is a rule of its own like `CET-1CEST`. */
function timeZone({ look, environment, stages }: World): Finding | undefined {
  const zone = (environment.get('TZ') ?? '').replace(/^:/u, '');
  if (zone === '' || zone.startsWith('/') || /^(?:UTC|GMT|Etc\/UTC)$/u.test(zone) || /^<?[A-Za-z+\-\d]{3,}>?[+-]?\d/u.test(zone))
    return undefined;
  const path = fromText(`${zones}/${zone}`);
  if (look.find(path) !== undefined) return undefined;
  const stage = stages.find((one) => one.look.find(path) !== undefined);
  const remedies: readonly Remedy[] = stage === undefined ? [] : [{ stage: stage.name, source: path, destination: path }];
  const message = `TZ is "${zone}", and the image does not have "${toText(path)}": programs will take the time for UTC`;
  const hint = stage === undefined ? 'Install tzdata in the final stage' : undefined;
  return warning({ rule: 'no-time-zone', root: 'ENV', file: undefined, missing: toText(path), message, remedies, hint });
}

/** A locale of glibc lies in its archive or in a folder of its own; musl knows none that would be missing. */
function locale(closures: readonly Closure[], { look, environment }: World): Finding | undefined {
  if (!closures.some(({ loader }) => loader === 'glibc')) return undefined;
  const name = ['LC_ALL', 'LANG', 'LC_CTYPE'].find((variable) => (environment.get(variable) ?? '') !== '');
  const wanted = name === undefined ? '' : (environment.get(name) ?? '');
  if (name === undefined || /^(?:C|POSIX|C\.(?:UTF-?8|utf-?8))$/u.test(wanted)) return undefined;
  const [territory = '', set = ''] = wanted.split('.');
  const folders = [wanted, `${territory}.${set.toLowerCase().replaceAll('-', '')}`].map((one) => fromText(`/usr/lib/locale/${one}`));
  const archive = asByteString('/usr/lib/locale/locale-archive');
  if ([archive, ...folders].some((path) => look.find(path) !== undefined)) return undefined;
  const message = `${name} is "${wanted}", and the image has no such locale: programs will fall back to C`;
  return warning({
    rule: 'no-locale',
    root: 'ENV',
    file: undefined,
    missing: wanted,
    message,
    remedies: [],
    hint: 'Use C.UTF-8, or install and generate the locale',
  });
}
