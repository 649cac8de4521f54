using System.Collections.Concurrent;
using KvMesh.Gateway.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>
/// Several connections on the same opaque keys. Each key has one writer, which numbers its values; a GET on any connection gives a value that is
/// not older than the last one acknowledged before it, and it misses only when the key may be removed: a miss is a failure here.
/// </summary>
public sealed class ConcurrentKeysTests
{
    private const int Keys = 4;
    private const int Writes = 300;
    private const int Readers = 2;

    [Fact]
    public void A_key_that_is_overwritten_is_never_missing_and_never_old() => Run(removes: false);

    [Fact]
    public void A_removed_key_is_gone_for_everybody_at_once() => Run(removes: true);

    private static void Run(bool removes)
    {
        using var fixture = new RespFixture();
        var states = Enumerable.Range(0, Keys).Select(_ => new KeyState(removes)).ToArray();
        var failures = new ConcurrentQueue<string>();
        using var stop = new ManualResetEventSlim();
        var writers = Enumerable.Range(0, Keys).Select(_ => fixture.Open()).Select((session, key) => Start(() => Write(session, states[key], key, removes, failures))).ToList();
        var readers = Enumerable.Range(0, Readers).Select(_ => fixture.Open()).Select((session, reader) => Start(() => Read(session, states, new Random(reader), stop, failures))).ToList();
        writers.ForEach(thread => Assert.True(thread.Join(Eventually.Patience), "a writer came to no end"));
        stop.Set();
        readers.ForEach(thread => Assert.True(thread.Join(Eventually.Patience), "a reader came to no end"));
        Assert.True(failures.IsEmpty, $"{failures.Count} failures; the first: {failures.FirstOrDefault()}");
        Assert.True(states.Sum(state => state.Reads) > 0, "nothing was read while it was written");
    }

    private static Thread Start(Action work)
    {
        var thread = new Thread(() => work());
        thread.Start();
        return thread;
    }

    private static void Write(IConnectionSession session, KeyState state, int key, bool removes, ConcurrentQueue<string> failures)
    {
        for (var number = 1; number <= Writes && failures.IsEmpty; number++)
        {
            var isRemoval = removes && number % 3 == 0;
            state.Begin(number, isRemoval);
            var reply = RespFixture.Ask(session, isRemoval ? $"DEL key{key}\r\n" : $"SET key{key} {Text(key, number)}\r\n");
            if (reply != (isRemoval ? ":1\r\n" : "+OK\r\n"))
            {
                failures.Enqueue($"command {number} on key {key} was answered {reply}");
            }

            state.Acknowledge(number, isRemoval);
        }
    }

    private static void Read(IConnectionSession session, KeyState[] states, Random random, ManualResetEventSlim stop, ConcurrentQueue<string> failures)
    {
        // However late this thread begins, it reads; while the writers write where the machine lets it.
        for (var own = 0; (own < 20 || !stop.IsSet) && failures.IsEmpty;)
        {
            var key = random.Next(Keys);
            var state = states[key];
            var before = state.Acknowledged;
            var reply = RespFixture.Ask(session, $"GET key{key}\r\n");
            var after = state.Begun;
            if (before.Number == 0)
            {
                continue;
            }

            own++;
            Interlocked.Increment(ref state.Reads);
            var fits = reply == "$-1\r\n"
                ? before.IsRemoval || state.RemovedBetween(before.Number, after.Number)
                : NumberOf(key, reply) is var number && number >= before.Number && number <= after.Number && !(before.IsRemoval && number == before.Number);
            if (!fits)
            {
                failures.Enqueue($"key {key} gave {reply[..Math.Min(reply.Length, 40)]}; {before} was acknowledged before, {after} begun after");
            }
        }
    }

    /// <summary>Values of all lengths, which name key and number in front and behind.</summary>
    private static string Text(int key, int number) => $"{key}:{number}:{new string('v', number * 37 % 3000)}:{key}:{number}";

    private static int NumberOf(int key, string reply)
    {
        var text = reply.Split("\r\n")[1];
        var number = int.Parse(text.Split(':')[1]);
        return text == Text(key, number) ? number : -1;
    }

    /// <summary>What the writer of a key has begun and what was acknowledged. One writes, all read.</summary>
    private sealed class KeyState(bool removes)
    {
        private volatile Step _begun = new(0, false);
        private volatile Step _acknowledged = new(0, false);

        public long Reads;

        public Step Begun => _begun;

        public Step Acknowledged => _acknowledged;

        public void Begin(int number, bool isRemoval) => _begun = new Step(number, isRemoval);

        public void Acknowledge(int number, bool isRemoval) => _acknowledged = new Step(number, isRemoval);

        /// <summary>Whether a removal lies after one step and up to another: every third, where there are removals.</summary>
        public bool RemovedBetween(int after, int upTo) => removes && upTo / 3 > after / 3;
    }

    private sealed record Step(int Number, bool IsRemoval);
}
