/**
 * The live panel of `run`: its state from events, its lines above it from the log, its painting by the clock.
 *
 * @module
 */
import { logEvents } from '../../observe/event-log.ts'
import type { CommandIo } from '../command-io.ts'
import { hasColour } from '../terminal.ts'
import { LivePanel, PAINT_EVERY_MS } from './live-panel.ts'
import { panelLines } from './panel-layout.ts'
import { PanelState } from './panel-state.ts'

/**
 * Shows the panel on stderr.
 *
 * @param names of the pipelines
 * @returns a function that takes it away, and may be called again
 */
export function showRunPanel(names: readonly string[], io: CommandIo, isColourWanted: boolean): () => void {
  const { stderr, runtime, env } = io
  const state = new PanelState(names, runtime)
  const isColoured = isColourWanted && hasColour(stderr, env)
  const panel = new LivePanel(stderr, size =>
    panelLines({ rows: state.rows(), isStopping: state.isStopping }, size, isColoured),
  )
  const ends = [state.subscribe(), logEvents('pretty', panel, runtime.now)]
  const stop = new AbortController()
  void repaint(panel, io, stop.signal)
  return () => {
    stop.abort()
    panel.end()
    for (const end of ends) end()
  }
}

async function repaint(panel: LivePanel, { runtime }: CommandIo, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    panel.paint()
    // Aborted: the panel is gone.
    await runtime.delay(PAINT_EVERY_MS, signal).catch(() => {})
  }
}
