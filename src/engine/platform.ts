/** The platform to build for or to run: this machine's unless another one is asked for. */
import { nativePlatform, parsePlatform, type Platform } from '#formats/oci/platform.ts';

export function nativeOrAsked(asked: string | undefined): Platform {
  const native = nativePlatform(process.arch);
  return asked === undefined ? native : parsePlatform(asked, native);
}
