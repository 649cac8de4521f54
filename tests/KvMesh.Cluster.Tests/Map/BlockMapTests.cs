using KvMesh.Cluster.Map;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Tests.Map;

public sealed class BlockMapTests : IDisposable
{
    private readonly BlockMap _map = new(new BlockMapOptions());

    [Fact]
    public void Names_holders_with_a_copy_in_RAM_first()
    {
        var (disk, host) = (Join(1), Join(2));
        _map.Set(MapScene.Digest(1), disk, MapLocation.DiskTier, 4096);
        _map.Set(MapScene.Digest(1), host, MapLocation.HostTier | MapLocation.DiskTier, 4096);

        Assert.Equal([host, disk], MapScene.Numbers(_map.Find(MapScene.Digest(1))));
        Assert.Equal([disk], MapScene.Numbers(_map.Find(MapScene.Digest(1), except: host)));
        Assert.True(_map.Find(MapScene.Digest(2)).IsEmpty);
    }

    [Fact]
    public void Names_at_most_four_of_many_holders_and_counts_all()
    {
        for (var node = 1; node <= 20; node++)
        {
            _map.Set(MapScene.Digest(1), Join(node), MapLocation.HostTier, 1);
        }

        Assert.Equal(BlockHolders.Capacity, _map.Find(MapScene.Digest(1)).Count);
        Assert.Equal(20, _map.Locations);
        var all = new ushort[HolderLists.MaxNamed];
        Assert.Equal(20, _map.FindAll(MapScene.Digest(1), all));
        Assert.Equal(20, all[..20].Distinct().Count());
        Assert.Equal(3, _map.FindAll(MapScene.Digest(1), all.AsSpan(0, 3)));
        Assert.Equal(0, _map.FindAll(MapScene.Digest(2), all));
    }

    [Fact]
    public void A_run_ends_at_the_first_block_that_nobody_holds()
    {
        var node = Join(1);
        KeyDigest[] digests = [.. Enumerable.Range(0, 100).Select(index => MapScene.Digest(index))];
        foreach (var digest in digests.Where((_, index) => index != 70))
        {
            _map.Set(digest, node, MapLocation.HostTier, 1);
        }

        var holders = new BlockHolders[100];
        Assert.Equal(70, _map.FindRun(digests, holders));
        Assert.All(holders.Take(70), each => Assert.Equal([node], MapScene.Numbers(each)));
        Assert.Equal(0, _map.FindRun(digests, holders, except: node));
    }

    [Fact]
    public void What_was_said_after_a_reader_asked_stands_against_what_it_saw()
    {
        var (node, digest) = (Join(1), MapScene.Digest(1));
        _map.Set(digest, node, MapLocation.HostTier, 1);
        var before = _map.ToldOf(digest);
        _map.Set(digest, node, MapLocation.HostTier, 1);

        Assert.False(_map.Remove(digest, node, before));
        Assert.Equal([node], MapScene.Numbers(_map.Find(digest)));

        Assert.True(_map.Remove(digest, node, _map.ToldOf(digest)));
        Assert.True(_map.Find(digest).IsEmpty);
    }

    [Fact]
    public void Forgets_a_node_at_once_and_takes_its_memory_back_with_a_sweep()
    {
        var (first, second) = (Join(1), Join(2));
        for (var block = 0; block < 10_000; block++)
        {
            _map.Set(MapScene.Digest(block), first, MapLocation.HostTier, 1);
            _map.Set(MapScene.Digest(block), second, MapLocation.HostTier, 1);
        }

        _map.End(first);
        Assert.Equal([second], MapScene.Numbers(_map.Find(MapScene.Digest(5))));
        Assert.Null(_map.RecordOf(first));
        Assert.Equal(20_000, _map.Locations);

        _map.Sweep();
        Assert.Equal(10_000, _map.Locations);
        Assert.Equal([second], MapScene.Numbers(_map.Find(MapScene.Digest(5))));
    }

    [Fact]
    public void A_number_is_not_used_again_before_it_was_swept_and_late_words_of_the_dead_are_ignored()
    {
        var old = Join(1);
        _map.Set(MapScene.Digest(1), old, MapLocation.HostTier, 1);
        var next = _map.Join(MapScene.Node(1, incarnation: 2));
        Assert.NotEqual(old, next);
        Assert.True(_map.Find(MapScene.Digest(1)).IsEmpty);
        Assert.Equal(next, _map.NumberOf(MapScene.Node(1).Id));

        _map.Set(MapScene.Digest(2), old, MapLocation.HostTier, 1);
        _map.Sweep();
        Assert.Equal(0, _map.Locations);

        var reused = Join(3);
        Assert.Equal(old, reused);
        Assert.True(_map.Find(MapScene.Digest(1)).IsEmpty);
        Assert.True(_map.Find(MapScene.Digest(2)).IsEmpty);
    }

    [Fact]
    public void After_a_snapshot_only_what_it_listed_or_what_was_said_since_is_left_of_that_node()
    {
        var (node, other) = (Join(1), Join(2));
        for (var block = 0; block < 10; block++)
        {
            _map.Set(MapScene.Digest(block), node, MapLocation.HostTier, 1);
            _map.Set(MapScene.Digest(block), other, MapLocation.HostTier, 1);
        }

        // One that is broken off changes nothing of what the next one means.
        _map.BeginSnapshot(node);
        _map.Set(MapScene.Digest(0), node, MapLocation.HostTier, 1);
        _map.BeginSnapshot(node);
        _map.Set(MapScene.Digest(3), node, MapLocation.HostTier, 1);
        _map.Set(MapScene.Digest(11), node, MapLocation.DiskTier, 1);
        _map.Remove(MapScene.Digest(3), node);
        _map.Set(MapScene.Digest(4), node, MapLocation.DiskTier, 1);
        _map.EndSnapshot(node, SlotSet.All());

        var held = Enumerable.Range(0, 12).Where(block => _map.Find(MapScene.Digest(block)).Contains(node));
        Assert.Equal([4, 11], held);
        Assert.Equal(12, _map.Locations);
    }

    [Fact]
    public void A_snapshot_of_some_slots_leaves_the_others_alone()
    {
        var node = Join(1);
        for (var block = 0; block < 1000; block++)
        {
            _map.Set(MapScene.Digest(block), node, MapLocation.HostTier, 1);
        }

        var half = new SlotSet();
        for (var slot = 0; slot < DigestSlots.Count; slot += 2)
        {
            half.Add(slot);
        }

        _map.BeginSnapshot(node);
        _map.EndSnapshot(node, half);
        Assert.All(Enumerable.Range(0, 1000), block =>
            Assert.Equal(half.Contains(DigestSlots.Of(MapScene.Digest(block))), _map.Find(MapScene.Digest(block)).IsEmpty));

        _map.Forget(SlotSet.All().Except(half));
        Assert.Equal(0, _map.Locations);
        Assert.Equal(0, _map.Bytes);
    }

    [Fact]
    public void A_full_map_keeps_what_it_has_and_counts_what_it_refuses()
    {
        using var map = new BlockMap(new BlockMapOptions { MaxLocations = 10 });
        var node = map.Join(MapScene.Node(1));
        Assert.All(Enumerable.Range(0, 10), block => Assert.True(map.Set(MapScene.Digest(block), node, MapLocation.HostTier, 1)));
        Assert.False(map.Set(MapScene.Digest(10), node, MapLocation.HostTier, 1));
        Assert.True(map.Set(MapScene.Digest(3), node, MapLocation.DiskTier, 1));
        Assert.Equal(1, map.Refused);
        map.Remove(MapScene.Digest(0), node);
        Assert.True(map.Set(MapScene.Digest(10), node, MapLocation.HostTier, 1));
    }

    [Fact]
    public void Agrees_with_a_dictionary_after_random_events()
    {
        var random = new Random(20261122);
        var model = new Dictionary<(int Block, ushort Node), int>();
        ushort[] nodes = [.. Enumerable.Range(1, 6).Select(index => Join(index))];
        for (var step = 0; step < 200_000; step++)
        {
            var block = random.Next(6_000);
            var place = random.Next(nodes.Length);
            switch (random.Next(1000))
            {
                case 0:
                    foreach (var key in model.Keys.Where(key => key.Node == nodes[place]).ToList())
                    {
                        model.Remove(key);
                    }

                    nodes[place] = _map.Join(MapScene.Node(place + 1, incarnation: step + 2));
                    break;
                case 1:
                    _map.Sweep();
                    break;
                case < 600:
                    model[(block, nodes[place])] = MapLocation.HostTier;
                    _map.Set(MapScene.Digest(block), nodes[place], MapLocation.HostTier, block);
                    break;
                default:
                    Assert.Equal(model.Remove((block, nodes[place])), _map.Remove(MapScene.Digest(block), nodes[place]));
                    break;
            }
        }

        _map.Sweep();
        Assert.Equal(model.Count, _map.Locations);
        for (var block = 0; block < 6_000; block++)
        {
            var expected = nodes.Where(node => model.ContainsKey((block, node))).Order();
            var found = _map.Find(MapScene.Digest(block));
            Assert.Equal(Math.Min(expected.Count(), BlockHolders.Capacity), found.Count);
            Assert.All(MapScene.Numbers(found), node => Assert.Contains(node, expected));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(4096)]
    [InlineData(5_000_000)]
    [InlineData(128 << 20)]
    public void The_size_of_a_payload_is_kept_within_an_eighth(int bytes)
    {
        var location = new MapLocation(1, 0, MapLocation.HostTier, bytes);
        Assert.InRange(location.ApproximateBytes, bytes - (bytes / 8), bytes);
        Assert.Equal(MapLocation.HostTier, location.Tiers);
    }

    [Fact]
    public void Takes_less_than_48_bytes_a_location_at_any_size()
    {
        var node = Join(1);
        for (var block = 0; block < 1_500_000; block++)
        {
            _map.Set(MapScene.Digest(block), node, MapLocation.HostTier, 1);
            if (block > 300_000 && block % 10_000 == 0)
            {
                Assert.InRange(_map.Bytes, 0, block * 48L);
            }
        }
    }

    public void Dispose() => _map.Dispose();

    private ushort Join(int node) => _map.Join(MapScene.Node(node));
}
