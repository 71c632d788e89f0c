/** Pushes one image that nobody has seen. It is made, and its digests known, before the clock starts. */
import { imageOf, pushImage, type Registry } from './image.js'

export interface PushOptions extends Registry {
  layers: number
  layerBytes: number
  /** Layers that are sent at a time. */
  atOnce: number
}

export interface PushReport {
  bytes: number
  seconds: number
}

export async function push({ layers, layerBytes, atOnce, ...registry }: PushOptions): Promise<PushReport> {
  const image = imageOf(layers, layerBytes)
  const startedAt = performance.now()
  await pushImage(registry, image, atOnce)
  return { bytes: layers * layerBytes, seconds: (performance.now() - startedAt) / 1000 }
}
