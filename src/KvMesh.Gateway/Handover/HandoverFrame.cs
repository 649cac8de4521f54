using System.Buffers.Binary;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Gateway.Handover;

/// <summary>What a frame of the handover says. Sent between programs of different ages: append only.</summary>
internal enum HandoverVerb : ushort
{
    /// <summary>Successor: I want to take over. Empty.</summary>
    Hello = 1,

    /// <summary>Node: I begin to stop. Empty.</summary>
    Welcome = 2,

    /// <summary>Node: no. The body is the reason, in UTF-8.</summary>
    Refused = 3,

    /// <summary>Node: listeners, one descriptor each.</summary>
    Listeners = 4,

    /// <summary>Node: connections, one descriptor each.</summary>
    Connections = 5,

    /// <summary>Successor: I hold what the last frame carried. Bounds the descriptors in flight.</summary>
    Received = 6,

    /// <summary>Node: that was all. Counts of listeners, connections, and connections that were closed.</summary>
    Complete = 7,

    /// <summary>Successor: I could serve now.</summary>
    Ready = 8,

    /// <summary>Node: they are yours. Until this frame nothing may be read from a connection.</summary>
    Commit = 9,
}

/// <summary>
/// The head of every frame, 20 bytes, little-endian: magic u32, version u16, verb u16, body length u32, descriptor count u16,
/// zero u16, CRC-32C over those 16 bytes and the body u32. Descriptors ride on its first byte. The head keeps this form in
/// every version, so that programs of different versions can refuse each other in words.
/// </summary>
internal readonly record struct HandoverFrame(ushort Version, HandoverVerb Verb, int BodyBytes, int DescriptorCount, uint Checksum)
{
    public const ushort CurrentVersion = 1;
    public const int HeadBytes = 20;

    /// <summary>A batch of connections with the largest states fits twice.</summary>
    public const int MaxBodyBytes = 4 * 1024 * 1024;

    /// <summary>Descriptors in one frame: half of what a message may carry.</summary>
    public const int MaxDescriptors = 32;

    private const uint Magic = 0x4F48_564B;
    private const int SummedBytes = 16;

    public static byte[] Write(ushort version, HandoverVerb verb, ReadOnlySpan<byte> body, int descriptorCount)
    {
        var head = new byte[HeadBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(head, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(4), version);
        BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(6), (ushort)verb);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(8), body.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(12), (ushort)descriptorCount);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(SummedBytes), Sum(head, body));
        return head;
    }

    /// <summary>Throws <see cref="HandoverException"/> when the head is not one.</summary>
    public static HandoverFrame Read(ReadOnlySpan<byte> head)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(head) != Magic)
        {
            throw new HandoverException("The other side does not speak the handover protocol.");
        }

        var bodyBytes = BinaryPrimitives.ReadInt32LittleEndian(head[8..]);
        var descriptorCount = BinaryPrimitives.ReadUInt16LittleEndian(head[12..]);
        if (bodyBytes is < 0 or > MaxBodyBytes || descriptorCount > MaxDescriptors)
        {
            throw new HandoverException($"A handover frame announces {bodyBytes} bytes and {descriptorCount} descriptors; at most {MaxBodyBytes} and {MaxDescriptors} are possible.");
        }

        return new HandoverFrame(
            BinaryPrimitives.ReadUInt16LittleEndian(head[4..]),
            (HandoverVerb)BinaryPrimitives.ReadUInt16LittleEndian(head[6..]),
            bodyBytes,
            descriptorCount,
            BinaryPrimitives.ReadUInt32LittleEndian(head[SummedBytes..]));
    }

    /// <summary>Throws <see cref="HandoverException"/> when head or body are not what was sent.</summary>
    public static void Verify(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        if (Sum(head, body) != BinaryPrimitives.ReadUInt32LittleEndian(head[SummedBytes..]))
        {
            throw new HandoverException("A handover frame arrived damaged: its checksum differs.");
        }
    }

    private static uint Sum(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) => Crc32C.Append(Crc32C.Compute(head[..SummedBytes]), body);
}
