/** Images as package URLs: https://github.com/package-url/purl-spec, type `docker`, with the platform that BuildKit adds. */
import { familiarName, type Reference } from '#formats/oci/reference.ts';
import { normalPlatform, printPlatform, type Platform } from '#formats/oci/platform.ts';

/** `pkg:docker/user/app@v1?platform=linux%2Famd64`; an image without tag and digest is its `latest`. */
export function imagePurl(reference: Reference, platform: Platform): string {
  const { tag, digest } = reference;
  const path = familiarName({ ...reference, tag: undefined, digest: undefined })
    .split('/')
    .map(encode)
    .join('/');
  const version = tag ?? (digest === undefined ? 'latest' : undefined);
  const qualifiers = [
    ...(digest === undefined ? [] : [`digest=${digest}`]),
    `platform=${encodeURIComponent(printPlatform(normalPlatform(platform)))}`,
  ];
  return `pkg:docker/${path}${version === undefined ? '' : `@${encodeURIComponent(version)}`}?${qualifiers.join('&')}`;
}

/** The specification leaves `:` as it is. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':');
}
