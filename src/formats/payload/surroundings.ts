/** What programs look for beside libraries once they run: certificates, time zones, locales. Nothing of it keeps a container from starting. */
import { asByteString, fromBytes, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
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
/** Go and Rust have it in programs that use TLS. */
const usualBundle = '/etc/ssl/certs/ca-certificates.crt';
/** Bytes of programs that one check searches for that path, all programs together: what starts comes first. */
const mostSearched = 128 << 20;
const piece = 1 << 20;

const zones = '/usr/share/zoneinfo';

/** Yields after each piece of a file that is read. */
export function* checkSurroundings(closures: readonly Closure[], world: World): Generator<readonly Finding[]> {
  yield* certificates(closures, world);
  yield listed(timeZone(world));
  yield listed(locale(closures, world));
}

function listed(finding: Finding | undefined): readonly Finding[] {
  return finding === undefined ? [] : [finding];
}

function warning(said: Pick<Finding, 'rule' | 'root' | 'file' | 'message' | 'missing' | 'remedies' | 'hint'>): Finding {
  return { severity: 'warning', ...said };
}

function* certificates(closures: readonly Closure[], world: World): Generator<readonly Finding[]> {
  const { look, environment, stages } = world;
  const named = environment.get('SSL_CERT_FILE') ?? environment.get('SSL_CERT_DIR');
  const places = named === undefined ? bundles : [joined(world.workingDirectory, fromText(named))];
  if (places.some((path) => look.find(path) !== undefined)) return;
  const path = yield* findTlsUser(closures, look);
  if (path === undefined) return;
  const stage = stages.find((one) => bundles.some((bundle) => one.look.find(bundle)?.kind === 'file'));
  const source = bundles.find((bundle) => stage?.look.find(bundle)?.kind === 'file');
  const remedies =
    stage === undefined || source === undefined
      ? []
      : [{ stage: stage.name, source, destination: named === undefined ? source : joined(world.workingDirectory, fromText(named)) }];
  const message = `"${toText(path)}" can speak TLS, and the image has no certificates of authorities: connections that are verified will fail`;
  const hint = remedies.length > 0 ? undefined : 'Install ca-certificates, or copy a bundle to /etc/ssl/certs/ca-certificates.crt';
  const missing = toText(places[0] ?? asByteString(''));
  yield [warning({ rule: 'no-certificates', root: 'ENTRYPOINT', file: toText(path), missing, message, remedies, hint })];
}

/** The first program that can speak TLS. */
function* findTlsUser(closures: readonly Closure[], look: Look): Generator<readonly Finding[], ByteString | undefined> {
  let left = mostSearched;
  for (const { objects } of closures) {
    const [program] = objects;
    if (program === undefined) continue;
    if (objects.some(({ path }) => tlsLibraries.test(nameOf(path)))) return program.path;
    const entry = look.find(asPath(program.path));
    if (entry?.kind !== 'file') continue;
    // Pieces overlap.
    for (let at = 0; at < entry.size && left > 0; at += piece, left -= piece) {
      if (look.use(entry, (file) => fromBytes(file.read(at, piece + usualBundle.length)).includes(usualBundle))) return program.path;
      yield [];
    }
  }
  return undefined;
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
