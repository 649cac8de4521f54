using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Coding;

/// <summary>Looks at the block that describes another one, as it lies in RAM: a coder may learn from it what the bytes mean. Any thread.</summary>
internal static class CompanionBytes
{
    /// <summary>
    /// What the companion of a block says; nothing when it has none, when that is longer than <paramref name="room"/>, or when it is not in RAM at this
    /// moment: nobody waits for a disk to learn it.
    /// </summary>
    public static ReadOnlySpan<byte> Read(Block block, Span<byte> room)
    {
        if (block.IsCompanion || Volatile.Read(ref block.Companion) is not { } companion || companion.PayloadBytes > room.Length || !companion.TryOpen())
        {
            return default;
        }

        using var read = new BlockRead(null!, companion, mustVerify: false);
        read.Payload.CopyTo(room);
        return room[..companion.PayloadBytes];
    }
}
