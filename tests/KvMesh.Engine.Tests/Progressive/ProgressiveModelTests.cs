using KvMesh.Engine.Blocks;
using KvMesh.Engine.Progressive;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Progressive;

/// <summary>Random steps of writers, readers and others, against a model of what is published, sealed and had.</summary>
public sealed class ProgressiveModelTests : IDisposable
{
    private readonly TestEngine _engine = new();
    private readonly byte[][] _variants = [TestBytes.Payload(1, Sections.BlockBytes), TestBytes.Payload(1, Sections.BlockBytes)];

    /// <summary>Two computations of one content, which differ from the third section on.</summary>
    public ProgressiveModelTests() => _variants[1][2 * Sections.Bytes] ^= 1;

    public void Dispose() => _engine.Dispose();

    [Fact]
    public void Readers_see_what_is_below_the_watermark_and_nothing_else()
    {
        for (var seed = 0; seed < 80; seed++)
        {
            new Story(_engine, _variants, seed).Run();
        }
    }

    private sealed class Story(TestEngine engine, byte[][] variants, int seed)
    {
        private readonly Random _random = new(seed);
        private readonly byte[] _key = [.. Sections.Key, .. BitConverter.GetBytes(seed)];
        private readonly List<(ProgressiveWrite Write, int Variant)> _writes = [];
        private readonly List<SectionFollowing> _readers = [];
        private int? _sealed;

        public void Run()
        {
            _readers.AddRange(Enumerable.Range(0, 3).Select(_ => new SectionFollowing(engine, _key)));
            for (var step = 0; step < 60; step++)
            {
                Step();
            }

            _writes.ForEach(write => engine.Engine.Abandon(write.Write));
            engine.Engine.Remove(engine.Tenant, _key);
            Sections.AwaitEmpty(engine, $"seed {seed}");
        }

        private void Step()
        {
            switch (_random.Next(12))
            {
                case 0 when _writes.Count < 3 && _sealed is null:
                    _writes.Add((Sections.Begin(engine, key: _key), _random.Next(2)));
                    break;
                case <= 4 when _writes.Count > 0:
                    Publish(_random.Next(_writes.Count));
                    break;
                case 5 when _writes.Count > 0:
                    var gone = _random.Next(_writes.Count);
                    engine.Engine.Abandon(_writes[gone].Write);
                    _writes.RemoveAt(gone);
                    break;
                case 6 when _random.Next(6) == 0 && _sealed is null:
                    _sealed = _random.Next(2);
                    Assert.Equal(SealStatus.Sealed, engine.PutContent(_key, variants[_sealed.Value]));
                    break;
                case 7 when _random.Next(4) == 0:
                    Assert.Equal(_sealed is not null, engine.Engine.Remove(engine.Tenant, _key));
                    _sealed = null;
                    break;
                default:
                    Read(_readers[_random.Next(_readers.Count)]);
                    break;
            }
        }

        private void Publish(int index)
        {
            var (write, variant) = _writes[index];
            var wasSealed = _sealed;
            var expected = wasSealed is null ? SealStatus.Sealed : SealStatus.AlreadyPresent;

            Assert.Equal(expected, Sections.Publish(engine, write, variants[variant], out var isOver));

            Assert.Equal(wasSealed is not null || write.Published == write.Sections, isOver);
            if (isOver)
            {
                _sealed ??= variant;
                _writes.RemoveAt(index);
            }
        }

        private void Read(SectionFollowing reader)
        {
            if (reader.Next == Sections.Count)
            {
                return;
            }

            var had = reader.Bytes.ToArray();
            var expected = Expected(had, reader.Next);
            Assert.True(expected == reader.Read(), $"seed {seed}: section {reader.Next} was to be {expected}");
            if (expected == FollowStatus.Ready)
            {
                Assert.Contains(variants, variant => variant.AsSpan().StartsWith(reader.Bytes));
            }
        }

        private FollowStatus Expected(byte[] had, int next)
        {
            if (_sealed is { } variant)
            {
                return variants[variant].AsSpan().StartsWith(had) ? FollowStatus.Ready : FollowStatus.Diverged;
            }

            var agreeing = _writes.Where(write => write.Write.Published < next || variants[write.Variant].AsSpan().StartsWith(had)).ToList();
            return agreeing.Any(write => write.Write.Published > next) ? FollowStatus.Ready
                : agreeing.Count > 0 ? FollowStatus.NotYet
                : _writes.Count > 0 ? FollowStatus.Diverged
                : FollowStatus.Gone;
        }
    }
}
