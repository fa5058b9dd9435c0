/** A handler context that records what a handler does with it and answers questions as it is told. */
import type { ElicitResult, HandlerContext, LogLevel, Principal } from '../../src/catalogue/define.ts';

export class RecordingContext implements HandlerContext {
  readonly controller = new AbortController();
  readonly state = new Map<string, unknown>();
  readonly isTask = false;
  readonly correlationId = 'test';
  readonly events: unknown[] = [];
  principal: Principal | null = null;
  meta: Record<string, unknown> = {};
  trace = { traceparent: '', tracestate: '', baggage: '' };
  clientCapabilities: Record<string, unknown> = {};
  answerElicit: (request: object) => Promise<ElicitResult> = () => Promise.reject(new Error('not expected'));
  answerSample: (params: object) => Promise<Record<string, unknown>> = () => Promise.reject(new Error('not expected'));
  rootUris: string[] = [];

  get signal(): AbortSignal {
    return this.controller.signal;
  }
  cancelled(): boolean {
    return this.controller.signal.aborted;
  }
  progress(progress: number, total?: number, message?: string): void {
    this.events.push({ progress, total, message });
  }
  log(level: LogLevel, data: unknown, logger?: string): void {
    this.events.push({ level, data, logger });
  }
  elicit(request: object): Promise<ElicitResult> {
    this.events.push({ elicit: request });
    return this.answerElicit(request);
  }
  sample(params: object): Promise<Record<string, unknown>> {
    this.events.push({ sample: params });
    return this.answerSample(params);
  }
  async roots(): Promise<{ roots: { uri: string }[] }> {
    return { roots: this.rootUris.map((uri) => ({ uri })) };
  }
  async startTask(): Promise<void> {
    this.events.push('startTask');
  }
  changed(what: string): void {
    this.events.push({ changed: what });
  }
  invalidate(tool: string): void {
    this.events.push({ invalidated: tool });
  }
  resourceUpdated(uri: string): void {
    this.events.push({ updated: uri });
  }
  releaseConnection(): void {
    this.events.push('release');
  }
}
