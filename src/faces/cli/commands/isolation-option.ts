/** `--isolation`: JETTISON_ISOLATION for one command. */
import { text, type Option } from '../option.ts';

export function isolationOption(): Option<string | undefined> {
  return text('isolation', {
    value: 'name',
    help: 'How steps are kept apart: "auto", "oci", "rootless", "rootless-single", "chroot"; with ",overlay" or ",copies" (default "auto")',
  });
}
