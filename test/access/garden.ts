/** The repositories that everybody asks for, each with one package of its own, and what is said of who may do what there. */
import type { RepositoryRecord } from '../../protocol/records.js'
import type { MemoryFleet } from '../support/memory-fleet.js'
import { PROJECT, sentences, type Visitor, visitors } from './askers.js'
import { plant } from './flowers.js'
import type { Place, Sentence, World } from './model.js'
import { below } from './routes.js'

export interface Planted extends Place {
  /** What is planted there. */
  flower: string
  more?: Partial<RepositoryRecord>
}

export const PLANTED: Planted[] = [
  { key: 'mine', flower: 'violet', more: { project: PROJECT } },
  { key: 'open', flower: 'daisy', public: true },
  { key: 'lent', flower: 'poppy' },
  { key: 'theirs', flower: 'orchid' },
  { key: 'aged', flower: 'aster' },
]
export const BUNCH: Planted = { key: 'bunch', flower: 'violet', more: { type: 'virtual', members: ['mine', 'theirs'] } }
export const REPOSITORIES = [...PLANTED, BUNCH]
/** Too old where a node is cut off. */
export const AGED = 'aged'
/** A repository that never was. */
export const ABSENT = 'gone'

export interface Garden {
  world: World
  everybody: Visitor[]
}

/** `more`: further sentences. */
export async function grow(fleet: MemoryFleet, format: string, more: Sentence[] = []): Promise<Garden> {
  const [flower, absent] = [below(format, 'violet'), below(format, 'absent')]
  const said = [...sentences({ flower, absent }), ...more]
  const ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
  for (const { key, flower, public: isPublic = false, more } of PLANTED) {
    await fleet.repository(key, format, { public: isPublic, ...more })
    await plant(ann, `/repository/${key}`, format, flower)
  }
  await fleet.repository(BUNCH.key, format, { public: false, ...BUNCH.more })
  const paths = ['', flower, absent, 'no/such/folder/']
  return { world: { sentences: said, paths }, everybody: await visitors(fleet, said) }
}
