using System.Text;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// The node's answer to a hello: u8 version, u8 rights, u16 zero, u32 capabilities, i64 incarnation, u32 largest block,
/// u32 most blocks of a request, u32 longest head, u32 longest key, u32 bytes of a checksum chunk, u32 longest existence lease and
/// u32 longest residence lease in milliseconds, then node, tenant, path of the Unix socket and name of the server, each behind a u16 length.
/// </summary>
public sealed record HelloResponse
{
    public byte Version { get; init; } = NativeLimits.Version;

    /// <summary>1 read, 2 write, 4 remove, 8 admin, 16 peer.</summary>
    public byte Rights { get; init; }

    public NativeCapabilities Capabilities { get; init; }

    /// <summary>Grows with each start of the node: sequence numbers of events count from 1 in each.</summary>
    public long Incarnation { get; init; }

    public string NodeId { get; init; } = "";

    public int MaxBlockBytes { get; init; } = Limits.MaxBlockBytes;

    public int MaxBlocksPerRequest { get; init; } = Limits.MaxBlocksPerRequest;

    public int MaxHeadBytes { get; init; } = NativeLimits.MaxHeadBytes;

    public int MaxKeyBytes { get; init; } = Limits.MaxKeyBytes;

    public int ChecksumChunkBytes { get; init; } = Limits.ChecksumChunkBytes;

    public TimeSpan MaxExistenceLease { get; init; }

    public TimeSpan MaxResidenceLease { get; init; }

    public string Tenant { get; init; } = "";

    /// <summary>Where clients on the same machine find the node's Unix socket; empty when there is none.</summary>
    public string UnixSocketPath { get; init; } = "";

    public string ServerName { get; init; } = "";

    /// <summary>Reads a head. Fields that later versions append are ignored.</summary>
    public static bool TryRead(ReadOnlySpan<byte> head, out HelloResponse response)
    {
        var reader = new HeadReader(head);
        var version = reader.ReadByte();
        var rights = reader.ReadByte();
        reader.ReadUInt16();
        response = new HelloResponse
        {
            Version = version,
            Rights = rights,
            Capabilities = (NativeCapabilities)reader.ReadUInt32(),
            Incarnation = reader.ReadInt64(),
            MaxBlockBytes = (int)reader.ReadUInt32(),
            MaxBlocksPerRequest = (int)reader.ReadUInt32(),
            MaxHeadBytes = (int)reader.ReadUInt32(),
            MaxKeyBytes = (int)reader.ReadUInt32(),
            ChecksumChunkBytes = (int)reader.ReadUInt32(),
            MaxExistenceLease = TimeSpan.FromMilliseconds(reader.ReadUInt32()),
            MaxResidenceLease = TimeSpan.FromMilliseconds(reader.ReadUInt32()),
            NodeId = Encoding.UTF8.GetString(reader.ReadShortBytes()),
            Tenant = Encoding.UTF8.GetString(reader.ReadShortBytes()),
            UnixSocketPath = Encoding.UTF8.GetString(reader.ReadShortBytes()),
            ServerName = Encoding.UTF8.GetString(reader.ReadShortBytes()),
        };
        return reader.IsValid;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte(Version);
        writer.WriteByte(Rights);
        writer.WriteUInt16(0);
        writer.WriteUInt32((uint)Capabilities);
        writer.WriteInt64(Incarnation);
        writer.WriteUInt32((uint)MaxBlockBytes);
        writer.WriteUInt32((uint)MaxBlocksPerRequest);
        writer.WriteUInt32((uint)MaxHeadBytes);
        writer.WriteUInt32((uint)MaxKeyBytes);
        writer.WriteUInt32((uint)ChecksumChunkBytes);
        writer.WriteUInt32((uint)MaxExistenceLease.TotalMilliseconds);
        writer.WriteUInt32((uint)MaxResidenceLease.TotalMilliseconds);
        writer.WriteShortBytes(Encoding.UTF8.GetBytes(NodeId));
        writer.WriteShortBytes(Encoding.UTF8.GetBytes(Tenant));
        writer.WriteShortBytes(Encoding.UTF8.GetBytes(UnixSocketPath));
        writer.WriteShortBytes(Encoding.UTF8.GetBytes(ServerName));
    }
}
