using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>A content that an encoding made of a block: what it decodes to, on every machine. Immutable.</summary>
/// <param name="TableChecksum">CRC-32C over the checksum table of what it decodes to.</param>
/// <param name="Loss">What is lost.</param>
internal sealed record LossyCopy(uint TableChecksum, Loss Loss);
