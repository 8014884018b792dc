/**
 * From 1.29 on, onnxruntime tells Microsoft of every process, session and model it runs, keeps a database of events in the
 * user's cache folder and takes its time to close it (microsoft/onnxruntime#27379). It asks the environment when
 * its first session is made, so this must come before, and in the main thread: a worker has a copy of the environment.
 * Whoever wants to be counted sets the variable to 0.
 */
export function refuseTelemetry(): void {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
}
