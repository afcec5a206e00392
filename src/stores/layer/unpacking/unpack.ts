import { JettisonError } from '#ground/base/errors.ts';
import type { Job, Watch } from '../jobs.ts';

export async function unpackLayer(job: Extract<Job, { kind: 'apply' }>, watch: Watch): Promise<undefined> {
  watch.check();
  throw new JettisonError('layer/unpack-not-built', `Layers cannot be unpacked yet ("${job.file}")`, { fault: 'bug' });
}
