// A lane that hands over as many parts as it is asked for, and then how many they were.
import { parentPort } from 'node:worker_threads';

parentPort.on('message', (request) => {
  if ('stop' in request) process.exit(0);
  const { id, job } = request;
  for (let part = 0; part < job.parts; part++) parentPort.postMessage({ id, part });
  parentPort.postMessage({ id, result: job.parts });
});
