using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Engine.Disk;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>A block whose every byte follows from its key and version, laid out as in an arena.</summary>
internal sealed class TestBlock : IDisposable
{
    private static readonly DigestSecret Secret = new(0x0123456789ABCDEF, 0xFEDCBA9876543210);
    private static readonly byte[] TenantName = "tenant"u8.ToArray();
    private readonly AlignedBuffer _extent;
    private readonly uint _tableChecksum;
    private readonly uint _trailerChecksum;

    /// <param name="isEncoded">Whether the bytes are said to be those of an encoded block, twice as long.</param>
    /// <param name="isLossy">Whether the block is said to have lost something.</param>
    public TestBlock(string key, int payloadBytes, int version = 1, bool isContent = true, bool isEncoded = false, bool isLossy = false)
    {
        IsEncoded = isEncoded;
        Loss = isLossy ? LossOf(version) : null;
        Key = key;
        Version = version;
        PayloadBytes = payloadBytes;
        IsContent = isContent;
        var keyBytes = Encoding.UTF8.GetBytes(key);
        var entries = ChecksumTable.EntryCount(payloadBytes);
        var tableOffset = KvMesh.Engine.Host.Extent.TrailerOffset(payloadBytes);
        ExtentBytes = tableOffset + entries * sizeof(uint) + TenantName.Length + keyBytes.Length;
        _extent = new AlignedBuffer(ExtentBytes);
        var extent = _extent.Span;
        var payload = extent.Slice(KvMesh.Engine.Host.Extent.PayloadOffset(payloadBytes), payloadBytes);
        Fill(payload, key, version);
        var trailer = extent[tableOffset..ExtentBytes];
        var table = MemoryMarshal.Cast<byte, uint>(trailer[..(entries * sizeof(uint))]);
        ChecksumTable.Compute(payload, table);
        TenantName.CopyTo(trailer[(entries * sizeof(uint))..]);
        keyBytes.CopyTo(trailer[(entries * sizeof(uint) + TenantName.Length)..]);
        _tableChecksum = ChecksumTable.Seal(table);
        _trailerChecksum = Crc32C.Compute(trailer);
    }

    public string Key { get; }

    public int Version { get; }

    public int PayloadBytes { get; }

    public int ExtentBytes { get; }

    public bool IsContent { get; }

    public bool IsEncoded { get; }

    /// <summary>What it has lost: another loss for each version, as a codec without attention measures it.</summary>
    public Loss? Loss { get; }

    /// <summary>Number that the tier gave before the write; 0: it gives one at the write.</summary>
    public long Sequence { get; set; }

    public KeyDigest Digest => DigestOf(Key);

    public ReadOnlySpan<byte> Extent => _extent.Span;

    public DiskRecord Record => new()
    {
        Tenant = TenantName,
        Key = Encoding.UTF8.GetBytes(Key),
        Model = "model"u8,
        Revision = "r1"u8,
        Digest = Digest,
        PayloadBytes = PayloadBytes,
        ExtentBytes = ExtentBytes,
        TableChecksum = _tableChecksum,
        TrailerChecksum = _trailerChecksum,
        Flags = IsContent ? BlockFlags.Content : BlockFlags.None,
        ScopeEpoch = 3,
        Hits = (uint)Version,
        ExpiresAt = 77,
        LastUse = 99,
        Sequence = Sequence,
        Codec = (ushort)(IsEncoded ? 11 : 0),
        DecodedBytes = IsEncoded ? DecodedBytes : 0,
        DecodedTableChecksum = IsEncoded ? DecodedChecksum : 0,
        Loss = Loss,
        SourceTableChecksum = Loss is null ? 0 : SourceChecksum,
    };

    private int DecodedBytes => (PayloadBytes * 2) + 1;

    /// <summary>Of what the block was before it lost something.</summary>
    public uint SourceChecksum => DecodedChecksum ^ 0x5A5A5A5A;

    private uint DecodedChecksum => (uint)(Version * 31) ^ (uint)PayloadBytes;

    public static Loss LossOf(int version) => new(12, version / 1000f, version / 2000f, float.NaN);

    public static KeyDigest DigestOf(string key) => KeyDigest.Compute(Secret, 1, Encoding.UTF8.GetBytes(key));

    public bool Append(DiskTier tier, out DiskLocation location) => tier.TryAppend(Record, Extent, out location);

    /// <summary>Reads the record and compares every byte. False: a miss. Other bytes than these fail the test.</summary>
    public bool Reads(DiskTier tier, DiskLocation location)
    {
        using var read = new AlignedBuffer(ExtentBytes);
        if (IsEncoded)
        {
            if (!tier.IsEncoded(location, out var bytes) || !tier.TryReadEncoded(location, Digest, read.Span, out var stored))
            {
                return false;
            }

            Assert.InRange(bytes, Math.Min(ExtentBytes, 4096), read.Length);
            Assert.Equal(new StoredExtent(PayloadBytes, ExtentBytes, _tableChecksum, DecodedBytes, DecodedChecksum) { Codec = 11 }, stored);
            Assert.False(tier.TryRead(location, Digest, read.Span), "Encoded bytes were given for those of the block.");
        }
        else if (!tier.TryRead(location, Digest, read.Span))
        {
            return false;
        }

        Assert.True(read.Span[..ExtentBytes].SequenceEqual(_extent.Span[..ExtentBytes]), $"{Key} version {Version} at {location} has other bytes.");
        return true;
    }

    /// <summary>Whether an extent read back is what it was sealed as, as the engine checks it: by its own table.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> extent, long payloadBytes, uint tableChecksum)
    {
        var entries = ChecksumTable.EntryCount(payloadBytes);
        var table = MemoryMarshal.Cast<byte, uint>(extent.Slice(((int)payloadBytes + 7) & ~7, entries * sizeof(uint)));
        return ChecksumTable.Seal(table) == tableChecksum && ChecksumTable.FirstMismatch(extent[..(int)payloadBytes], table) < 0;
    }

    public void Dispose() => _extent.Dispose();

    private static void Fill(Span<byte> payload, string key, int version)
    {
        var digest = DigestOf(key);
        new Random((int)digest.Low ^ (version * 7919)).NextBytes(payload);
    }
}
