namespace KvMesh.Engine.Blocks;

/// <summary>
/// An open block: its payload stays where it is until <see cref="Dispose"/>, which must be called exactly once, by whoever
/// holds the last copy of this value.
/// </summary>
public readonly struct BlockRead : IDisposable
{
    /// <summary>The payload, in the arena.</summary>
    public ReadOnlySpan<byte> Payload => throw new NotImplementedException();

    /// <summary>One CRC-32C per 64 KiB of payload.</summary>
    public ReadOnlySpan<uint> Checksums => throw new NotImplementedException();

    /// <summary>CRC-32C over <see cref="Checksums"/>.</summary>
    public uint TableChecksum => throw new NotImplementedException();

    public int PayloadBytes => throw new NotImplementedException();

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt => throw new NotImplementedException();

    /// <summary>Index of the block's descriptor in the arena, for readers that map it.</summary>
    public int DescriptorIndex => throw new NotImplementedException();

    /// <summary>The descriptor's generation while this read is open.</summary>
    public ulong Generation => throw new NotImplementedException();

    /// <summary>Offset of the payload from the start of the arena's data area, in bytes.</summary>
    public long ExtentOffset => throw new NotImplementedException();

    /// <summary>Whether this read is one of the sample that a door must verify before it sends (see EngineOptions.VerifyOneReadIn).</summary>
    public bool MustVerify => throw new NotImplementedException();

    /// <summary>Checks the payload against its table. On a mismatch the block is quarantined; send nothing and answer a miss.</summary>
    public bool Verify() => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
