using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>Whatever was put, removed or has expired: a match is as long as a walk that looks at one block after the other.</summary>
public sealed class PrefixMatchModelTests
{
    private const int Chains = 3;
    private const int Length = 40;
    private const int Steps = 400;
    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);

    [Fact]
    public void A_match_agrees_with_a_walk_with_random_holes() => Run(seeds: 12, withExpiry: false);

    [Fact]
    public void A_match_agrees_with_a_walk_when_parents_have_expired() => Run(seeds: 12, withExpiry: true);

    private static void Run(int seeds, bool withExpiry) => Fuzz.Run(seeds, random =>
    {
        var clock = new SimulatedClock();
        using var engine = new TestEngine(options => options.ArenaBytes = 4 << 20, clock);
        for (var step = 0; step < Steps; step++)
        {
            var (chain, index) = (random.Next(Chains), random.Next(Length));
            switch (random.Next(8))
            {
                case 0:
                    engine.Engine.Remove(engine.Tenant, Key(chain, index));
                    break;
                case 1 when withExpiry:
                    engine.Engine.SetExpiry(engine.Tenant, Key(chain, index), (clock.GetUtcNow() + TimeSpan.FromSeconds(random.Next(1, 20))).ToUnixTimeMilliseconds());
                    break;
                case 2 when withExpiry:
                    clock.Advance(TimeSpan.FromSeconds(random.Next(5)));
                    break;
                default:
                    PutFrom(engine, clock, random, chain, index, withExpiry);
                    break;
            }

            Compare(engine, chain, random.Next(1, Length + 1));
        }
    });

    /// <summary>A few blocks in order from any place of the chain, as writers come back to it.</summary>
    private static void PutFrom(TestEngine engine, SimulatedClock clock, Random random, int chain, int index, bool withExpiry)
    {
        for (var end = Math.Min(Length, index + random.Next(1, 12)); index < end; index++)
        {
            var expiresAt = withExpiry && random.Next(6) == 0 ? (clock.GetUtcNow() + TimeSpan.FromSeconds(random.Next(1, 30))).ToUnixTimeMilliseconds() : 0;
            engine.Put(Key(chain, index), "1"u8, BlockTraits.Content("model", "1", index == 0 ? default : Key(chain, index - 1)), new SealOptions { ExpiresAt = expiresAt });
        }
    }

    private static void Compare(TestEngine engine, int chain, int count)
    {
        var hashes = Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(chain, index)).ToArray();
        var walked = Enumerable.Range(0, count).TakeWhile(index => engine.Engine.TryInspect(engine.Tenant, Key(chain, index), out _)).Count();
        Assert.Equal(walked, engine.Engine.MatchPrefix(engine.Tenant, new KeyRun(Scope.Bytes.Span, hashes), engine.Leases, TimeSpan.Zero).Blocks);
    }

    private static byte[] Key(int chain, int index) => Scope.KeyOf(TestBytes.Hash(chain, index));
}
