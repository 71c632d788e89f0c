/** The connected peers, as those see them who move blobs: the mesh, or a simulation of it. */
import type { Mesh } from './mesh.js'

export type Neighbours = Pick<Mesh, 'self' | 'members' | 'member' | 'near' | 'blame' | 'onLeave' | 'request' | 'handle'>
