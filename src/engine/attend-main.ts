/** The process that makes and serves the network of a normal user's container, see execution/network/attended.ts. */
import { env } from 'node:process';
import { attend } from '#execution/network/attend.ts';
import { openEngine } from './open.ts';

attend(async (made) => await made.use(await openEngine({ environment: env, currentFolder: '/' })).networks());
