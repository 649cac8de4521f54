namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// First request of a connection: u8 lowest version, u8 highest version, u16 zero, u32 capabilities, then token, tenant name and
/// client name, each behind a u16 length. An empty tenant name stands for the tenant that the token belongs to.
/// </summary>
public readonly ref struct HelloRequest
{
    public byte LowestVersion { get; init; }

    public byte HighestVersion { get; init; }

    public NativeCapabilities Capabilities { get; init; }

    public ReadOnlySpan<byte> Token { get; init; }

    public ReadOnlySpan<byte> TenantName { get; init; }

    public ReadOnlySpan<byte> ClientName { get; init; }

    /// <summary>Reads a head. Fields that later versions append are ignored.</summary>
    public static bool TryRead(ReadOnlySpan<byte> head, out HelloRequest request)
    {
        var reader = new HeadReader(head);
        var lowest = reader.ReadByte();
        var highest = reader.ReadByte();
        reader.ReadUInt16();
        request = new HelloRequest
        {
            LowestVersion = lowest,
            HighestVersion = highest,
            Capabilities = (NativeCapabilities)reader.ReadUInt32(),
            Token = reader.ReadShortBytes(),
            TenantName = reader.ReadShortBytes(),
            ClientName = reader.ReadShortBytes(),
        };
        return reader.IsValid
            && request.Token.Length <= NativeLimits.MaxTokenBytes
            && request.TenantName.Length <= Limits.MaxTenantBytes
            && request.ClientName.Length <= NativeLimits.MaxClientNameBytes;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte(LowestVersion);
        writer.WriteByte(HighestVersion);
        writer.WriteUInt16(0);
        writer.WriteUInt32((uint)Capabilities);
        writer.WriteShortBytes(Token);
        writer.WriteShortBytes(TenantName);
        writer.WriteShortBytes(ClientName);
    }
}
