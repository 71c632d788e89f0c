import { MemoryLedger } from '../../../protocol/metadata/memory.js'
import { metadataContract } from '../../contracts/metadata.js'

metadataContract('memory', async () => {
  const ledger = await MemoryLedger.open()
  return { ledger, metadata: ledger.state, settle: async () => undefined, close: async () => undefined }
})
