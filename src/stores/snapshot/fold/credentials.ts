/** Names that files with passwords and keys usually have: a deleted one that still ships is worth a word. */
import { toText } from '#ground/base/byte-string.ts';
import type { HiddenFile } from './meet.ts';

const telling =
  /(?:^|\/)(?:\.npmrc|\.yarnrc\.yml|\.netrc|_netrc|\.pypirc|\.env|\.env\.[^/]+|\.git-credentials|\.htpasswd|\.pgpass|\.my\.cnf|\.vault-token|\.terraformrc|\.s3cfg|\.boto|id_(?:rsa|dsa|ecdsa|ed25519)|[^/]+\.(?:pem|key|p12|pfx|jks|keystore|ppk|kdbx)|(?:\.aws|\.oci)\/(?:credentials|config)|\.docker\/config\.json|\.kube\/config|\.m2\/settings\.xml|\.gem\/credentials|\.cargo\/credentials(?:\.toml)?|\.config\/(?:gcloud\/[^/]+\.(?:json|db)|gh\/hosts\.yml|pip\/pip\.conf)|credentials\.json|service[-_]?account[^/]*\.json)$/u;

/** Does its name promise a password or a key? Public halves and lists of trusted certificates do not. */
export function isCredential({ path, stats }: Pick<HiddenFile, 'path' | 'stats'>): boolean {
  if (!stats.isFile() || stats.size === 0n) return false;
  return (
    telling.test(toText(path)) &&
    !/(?:^|\/)(?:etc\/ssl\/certs|usr\/share\/ca-certificates|site-packages|node_modules)\//u.test(toText(path))
  );
}
