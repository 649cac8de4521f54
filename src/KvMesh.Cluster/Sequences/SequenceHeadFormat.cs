using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using KvMesh.Protocol;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// The stored form of a head: u8 format 1, u24 stamp of the step that wrote it, u32 bytes of all, i64 version, then fields. A field is a varint tag (number × 2,
/// +1 for bytes behind a varint length) and its value. Numbers are never used twice and no field is required, so that versions N and
/// N−1 of the program read each other's heads; fields that a reader does not know are kept and written again. Stamp and version stand at fixed places
/// for stores that compare them without reading the rest.
/// </summary>
public static class SequenceHeadFormat
{
    /// <summary>Where the version stands.</summary>
    public const int VersionOffset = 8;

    /// <summary>Where the stamp stands, and its bytes. Versions of the program that know of none write 0 there.</summary>
    public const int StampOffset = 1;
    public const int StampBytes = 3;

    /// <summary>Bytes before the fields.</summary>
    public const int PrefixBytes = 16;

    private const byte Format = 1;
    private const int KnownFields = 30;

    // Append only.
    private const int State = 1, Epoch = 2, Scope = 3, Parts = 4, Holder = 5, Blocks = 6, Tokens = 7, Bytes = 8, Segments = 9, LastHash = 10,
        CreatedAt = 11, TouchedAt = 12, Idle = 13, ExpiresAt = 14, RowsId = 15, Forks = 16, OriginName = 17, OriginRowsId = 18, OriginSegments = 19,
        OriginBlocks = 20, OriginDepth = 21, Pin = 22, PinnedBytes = 23, ReturnAt = 24, ClosedAt = 25, Recent = 26, OriginHash = 27, ParkedAt = 28, Rests = 29, Lossless = 30;

    /// <summary>Writes a head. When it would be too large, the oldest remembered requests go first.</summary>
    /// <exception cref="ArgumentException">It is too large even without them.</exception>
    public static byte[] Write(SequenceHead head)
    {
        for (var remembered = head.Recent.Length; remembered >= 0; remembered--)
        {
            var bytes = Write(head, remembered);
            if (bytes.Length <= SequenceLimits.MaxHeadBytes)
            {
                return bytes;
            }
        }

        throw new ArgumentException($"A head has more than {SequenceLimits.MaxHeadBytes} bytes.", nameof(head));
    }

    /// <summary>The version of a stored head, or -1 when these bytes are none.</summary>
    public static long VersionOf(ReadOnlySpan<byte> source) =>
        source.Length >= PrefixBytes ? BinaryPrimitives.ReadInt64LittleEndian(source[VersionOffset..]) : -1;

    /// <summary>Reads a stored head. Null: these bytes are none, or of a format that this program does not know.</summary>
    public static SequenceHead? TryRead(ReadOnlySpan<byte> source)
    {
        if (source.Length is < PrefixBytes or > SequenceLimits.MaxHeadBytes || source[0] != Format
            || BinaryPrimitives.ReadUInt32LittleEndian(source[4..]) != source.Length)
        {
            return null;
        }

        var head = new SequenceHead
        {
            Version = BinaryPrimitives.ReadInt64LittleEndian(source[VersionOffset..]),
            Stamp = (int)(BinaryPrimitives.ReadUInt32LittleEndian(source) >> (8 * StampOffset)),
        };
        var reader = new FieldReader(source[PrefixBytes..]);
        var unknown = new List<byte>();
        while (reader.TryNext(out var number, out var value, out var bytes, out var whole))
        {
            if (number > KnownFields)
            {
                unknown.AddRange(whole);
                continue;
            }

            if (WithField(head, number, value, bytes) is not { } next)
            {
                return null;
            }

            head = next;
        }

        return reader.IsBroken || !IsSound(head) ? null : head with { Unknown = unknown.ToArray() };
    }

    private static byte[] Write(SequenceHead head, int remembered)
    {
        var writer = new FieldWriter();
        writer.Number(State, (ulong)head.State);
        writer.Number(Epoch, (ulong)head.Epoch);
        writer.Bytes(Scope, head.Scope.Span);
        writer.Number(Parts, (ulong)head.Parts);
        writer.Text(Holder, head.Holder);
        writer.Number(Blocks, (ulong)head.Blocks);
        writer.Number(Tokens, (ulong)head.Tokens);
        writer.Number(Bytes, (ulong)head.Bytes);
        writer.Number(Segments, (ulong)head.Segments);
        writer.Hash(LastHash, head.LastHash);
        writer.Number(CreatedAt, (ulong)head.CreatedAt);
        writer.Number(TouchedAt, (ulong)head.TouchedAt);
        writer.Number(Idle, (ulong)head.IdleMilliseconds);
        writer.Number(ExpiresAt, (ulong)head.ExpiresAt);
        writer.Number(RowsId, head.RowsId);
        writer.Number(Forks, (ulong)head.Forks);
        writer.Text(OriginName, head.Origin.Name);
        writer.Number(OriginRowsId, head.Origin.RowsId);
        writer.Number(OriginSegments, (ulong)head.Origin.Segments);
        writer.Number(OriginBlocks, (ulong)head.Origin.Blocks);
        writer.Hash(OriginHash, head.Origin.LastHash);
        writer.Number(OriginDepth, (ulong)head.Origin.Depth);
        if (head.Pin != default)
        {
            writer.Bytes(Pin, PinBytes(head.Pin));
        }

        writer.Number(PinnedBytes, (ulong)head.PinnedBytes);
        writer.Number(ReturnAt, (ulong)head.ReturnAt);
        writer.Number(ClosedAt, (ulong)head.ClosedAt);
        writer.Number(ParkedAt, (ulong)head.ParkedAt);
        writer.Bytes(Rests, RestBytes(head.Rests));
        writer.Number(Lossless, head.LosslessOnly ? 1u : 0u);
        foreach (var request in head.Recent.AsSpan()[(head.Recent.Length - remembered)..])
        {
            writer.Bytes(Recent, RecentBytes(request));
        }

        writer.Raw(head.Unknown.Span);
        return writer.Finish(Format, head.Stamp, head.Version);
    }

    private static byte[] PinBytes(in PinStatus pin)
    {
        var bytes = new byte[24];
        bytes[0] = (byte)pin.State;
        bytes[1] = pin.Replicas;
        bytes[2] = pin.Copies;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), pin.Number);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), pin.Blocks);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), pin.Until);
        return bytes;
    }

    private static byte[] RestBytes(ImmutableArray<uint> rests)
    {
        var bytes = new byte[rests.Length * sizeof(uint)];
        for (var index = 0; index < rests.Length; index++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(index * sizeof(uint)), rests[index]);
        }

        return bytes;
    }

    private static byte[] RecentBytes(in RememberedRequest request)
    {
        var bytes = new byte[17];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, request.RequestId);
        bytes[8] = (byte)request.Kind;
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(9), request.Epoch);
        return bytes;
    }

    /// <summary>The head with one more field; null when the field makes no sense.</summary>
    private static SequenceHead? WithField(SequenceHead head, int number, ulong value, ReadOnlySpan<byte> bytes) => number switch
    {
        Scope => bytes.Length <= SequenceLimits.MaxScopeBytes ? head with { Scope = bytes.ToArray() } : null,
        Holder => bytes.Length <= SequenceLimits.MaxHolderBytes ? head with { Holder = Encoding.UTF8.GetString(bytes) } : null,
        LastHash => bytes.Length == Limits.ChainHashBytes ? head with { LastHash = new BlockHash(bytes) } : null,
        OriginHash => bytes.Length == Limits.ChainHashBytes ? head with { Origin = head.Origin with { LastHash = new BlockHash(bytes) } } : null,
        OriginName => bytes.Length <= SequenceLimits.MaxNameCharacters ? head with { Origin = head.Origin with { Name = Encoding.UTF8.GetString(bytes) } } : null,
        OriginRowsId => head with { Origin = head.Origin with { RowsId = value } },
        RowsId => head with { RowsId = value },

        // A later version may remember more: the latest are of use.
        Rests => bytes.Length % sizeof(uint) == 0 ? head with { Rests = ReadRests(bytes) } : null,

        // A longer pin or request comes from a later version: what is known of it stands first.
        Pin => bytes.Length >= 24 ? head with { Pin = ReadPin(bytes) } : null,
        Recent => bytes.Length >= 17 ? head with { Recent = Latest(head.Recent).Add(ReadRecent(bytes)) } : null,
        _ => value <= long.MaxValue ? WithNumber(head, number, (long)value) : null,
    };

    private static SequenceHead? WithNumber(SequenceHead head, int number, long value) => number switch
    {
        State when value is > 0 and <= (long)SequenceState.Closed => head with { State = (SequenceState)value },
        Epoch => head with { Epoch = value },
        Parts when value <= SequenceLimits.MaxParts => head with { Parts = (int)value },
        Blocks => head with { Blocks = value },
        Tokens => head with { Tokens = value },
        Bytes => head with { Bytes = value },
        Segments when value <= SequenceLimits.MaxSegments => head with { Segments = (int)value },
        CreatedAt => head with { CreatedAt = value },
        TouchedAt => head with { TouchedAt = value },
        Idle => head with { IdleMilliseconds = value },
        ExpiresAt => head with { ExpiresAt = value },
        Forks when value <= SequenceLimits.MaxForks => head with { Forks = (int)value },
        OriginSegments when value <= SequenceLimits.MaxSegments => head with { Origin = head.Origin with { Segments = (int)value } },
        OriginBlocks => head with { Origin = head.Origin with { Blocks = value } },
        OriginDepth when value <= SequenceLimits.MaxForkDepth => head with { Origin = head.Origin with { Depth = (int)value } },
        PinnedBytes => head with { PinnedBytes = value },
        ReturnAt => head with { ReturnAt = value },
        ClosedAt => head with { ClosedAt = value },
        ParkedAt => head with { ParkedAt = value },
        Lossless => head with { LosslessOnly = value != 0 },
        _ => null,
    };

    /// <summary>Room for one more: a later version of the program may remember more than this one.</summary>
    private static ImmutableArray<RememberedRequest> Latest(ImmutableArray<RememberedRequest> recent) =>
        recent.Length == SequenceLimits.RememberedRequests ? recent.RemoveAt(0) : recent;

    private static ImmutableArray<uint> ReadRests(ReadOnlySpan<byte> bytes)
    {
        var rests = ImmutableArray.CreateBuilder<uint>(RestTimes.Kept);
        for (var at = Math.Max(0, bytes.Length - (RestTimes.Kept * sizeof(uint))); at < bytes.Length; at += sizeof(uint))
        {
            rests.Add(BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]));
        }

        return rests.ToImmutable();
    }

    private static PinStatus ReadPin(ReadOnlySpan<byte> bytes) => new(
        (PinState)bytes[0], BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]), bytes[1], bytes[2],
        BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]));

    private static RememberedRequest ReadRecent(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(bytes), (SequenceEventKind)bytes[8], BinaryPrimitives.ReadInt64LittleEndian(bytes[9..]));

    private static bool IsSound(SequenceHead head) =>
        head.Version > 0 && head.Blocks <= SequenceLimits.MaxBlocks && head.Origin.Segments <= head.Segments && head.Origin.Blocks <= head.Blocks && head.Parts > 0;
}
