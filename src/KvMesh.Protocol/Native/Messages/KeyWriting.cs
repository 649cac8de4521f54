namespace KvMesh.Protocol.Native.Messages;

/// <summary>Writes the keys at the end of a head, as <see cref="KeySet"/> reads them.</summary>
public static class KeyWriting
{
    /// <summary>Keys of a chain: <paramref name="hashes"/> are 32 bytes each.</summary>
    public static void WriteChain(this FrameWriter writer, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes)
    {
        writer.WriteByte((byte)KeyForm.Chain);
        writer.WriteByte(0);
        writer.WriteUInt16(checked((ushort)scope.Length));
        writer.WriteUInt32((uint)(hashes.Length / Limits.ChainHashBytes));
        writer.WriteBytes(scope);
        writer.WriteBytes(hashes);
    }

    /// <summary>One opaque key.</summary>
    public static void WriteOpaque(this FrameWriter writer, ReadOnlySpan<byte> key)
    {
        writer.WriteByte((byte)KeyForm.Opaque);
        writer.WriteByte(0);
        writer.WriteUInt16(0);
        writer.WriteUInt32(1);
        writer.WriteShortBytes(key);
    }
}
