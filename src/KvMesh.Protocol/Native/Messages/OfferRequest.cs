namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Asks which blocks a writer should send: u32 count, count × u32 payload bytes, keys. The answer is one status byte per block: Wanted,
/// AlreadyPresent or TooLarge. Nothing is set aside; whether there is room is told when the bytes come.
/// </summary>
public readonly ref struct OfferRequest
{
    /// <summary>Payload bytes of each block, 4 bytes each, little-endian.</summary>
    public ReadOnlySpan<byte> Lengths { get; init; }

    public int Count => Lengths.Length / sizeof(uint);

    public static OfferRequest Read(ref HeadReader reader) =>
        new() { Lengths = reader.ReadBytes((long)reader.ReadUInt32() * sizeof(uint)) };
}
