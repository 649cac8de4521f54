using System.Text;
using KvMesh.Engine.Disk;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>
/// A folder whose files were damaged in any way: the next start takes what is still whole. Bytes that pass the checks of the engine are those
/// of a value that was written under that key; what was removed does not come back while the log of removals is whole.
/// </summary>
public sealed class DiskFolderFuzzTests : IDisposable
{
    private const int SegmentBytes = 64 * 1024;
    private const int Rounds = 150;
    private static readonly Guid Store = new("11111111-2222-3333-4444-555555555555");
    private readonly Dictionary<string, List<TestBlock>> _written = [];
    private readonly HashSet<string> _removed = [];

    public void Dispose()
    {
        foreach (var block in _written.Values.SelectMany(versions => versions))
        {
            block.Dispose();
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Any_damage_costs_blocks_and_never_gives_other_bytes(bool stopsCleanly)
    {
        var template = MakeFolder(stopsCleanly);
        Fuzz.Run(Rounds, random =>
        {
            var files = new SimulatedFileSystem(random);
            var damaged = template.Keys.ElementAt(random.Next(template.Count));
            foreach (var (name, content) in template)
            {
                files.Put(name, name == damaged ? Damage(random, content) : content.ToArray());
            }

            Check(files, isLogWhole: !DiskFileNames.TryParseLog(damaged, out _));
        });
    }

    /// <summary>Segments with values of all sizes, values that were replaced and values that were removed.</summary>
    private Dictionary<string, byte[]> MakeFolder(bool stopsCleanly)
    {
        var files = new SimulatedFileSystem(new Random(1));
        var engine = new RecordingObserver();
        var tier = Open(files, engine);
        for (var index = 0; index < 30; index++)
        {
            Write(tier, engine, $"key {index % 20}", index * 300, version: 1 + (index / 20));
        }

        foreach (var key in new[] { "key 2", "key 7", "key 15" })
        {
            tier.Release(engine[key], durable: true);
            _removed.Add(key);
        }

        while (tier.Maintain())
        {
        }

        if (stopsCleanly)
        {
            tier.Dispose();
        }

        return files.Names.ToDictionary(
            name => name, name => DiskFiles.ReadAll(files, name, out var content) == FileStatus.Ok ? content.ToArray() : throw new IOException(name));
    }

    private void Write(DiskTier tier, RecordingObserver engine, string key, int payloadBytes, int version)
    {
        // Replaced values are opaque: the latest alone may be read again.
        var block = new TestBlock(key, payloadBytes, version, isContent: false);
        _written.TryAdd(key, []);
        _written[key].Add(block);
        Assert.True(block.Append(tier, out var location));
        if (version > 1)
        {
            tier.Release(engine[key], durable: true);
        }

        engine[key] = location;
    }

    private void Check(SimulatedFileSystem files, bool isLogWhole)
    {
        var engine = new RecordingObserver();
        var recovered = new Dictionary<string, (long PayloadBytes, uint TableChecksum)>();
        using var tier = Open(files, engine, (in DiskRecord record, DiskLocation location) =>
        {
            recovered[Encoding.UTF8.GetString(record.Key)] = (record.PayloadBytes, record.TableChecksum);
            return engine.Recovered(record, location);
        });
        foreach (var (key, (payloadBytes, tableChecksum)) in recovered)
        {
            Assert.False(isLogWhole && _removed.Contains(key), $"{key} was removed and is back");
            var written = _written[key].Find(block => block.PayloadBytes == payloadBytes && block.Record.TableChecksum == tableChecksum);
            Assert.True(written is not null, $"{key} has a header that was never written");
            using var read = new AlignedBuffer(SegmentBytes);
            if (tier.TryRead(engine[key], TestBlock.DigestOf(key), read.Span) && TestBlock.IsWhole(read.Span, payloadBytes, tableChecksum))
            {
                Assert.True(read.Span[..written!.PayloadBytes].SequenceEqual(written.Extent[..written.PayloadBytes]), $"{key} has bytes that were never written");
            }
        }

        // The tier goes on: what is written now is read back.
        using var block = new TestBlock("new", 5000);
        Assert.True(block.Append(tier, out var location));
        Assert.True(block.Reads(tier, location));
    }

    private static DiskTier Open(SimulatedFileSystem files, RecordingObserver engine, RecoveredRecordHandler? onRecovered = null) => DiskTier.Open(
        new DiskOptions { Directory = "disk", CapacityBytes = 8 * SegmentBytes, SegmentBytes = SegmentBytes, RunsMaintenance = false },
        Store, files, engine, onRecovered ?? engine.Recovered, new SimulatedClock(), NullLogger.Instance);

    /// <summary>Half of the damage hits where the fields are; segments keep their length, as files of a device do.</summary>
    private static byte[] Damage(Random random, byte[] content)
    {
        if (random.Next(8) == 0)
        {
            return content[..random.Next(content.Length + 1)];
        }

        var damaged = content.ToArray();
        for (var changes = random.Next(1, 6); changes > 0; changes--)
        {
            var at = random.Next(damaged.Length);
            at = random.Next(2) == 0 ? (at / 4096 * 4096) + random.Next(Math.Min(200, damaged.Length - (at / 4096 * 4096))) : at;
            var length = Math.Min(damaged.Length - at, 1 + random.Next(16));
            random.NextBytes(damaged.AsSpan(at, length));
        }

        return damaged;
    }
}
