using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Cluster.Tests.Sequences;

/// <summary>Random commands against a model of a few lines that knows no heads: a list of blocks, an owner, a state.</summary>
public sealed class SequenceModelTests
{
    private const long Start = 1_763_764_200_000;
    private static readonly SequenceUsage Plenty = new(1 << 20, 1 << 20, 1L << 50);
    private static readonly SequenceRules Rules = new() { DefaultIdleLimit = TimeSpan.FromMinutes(10), MaxLifetime = TimeSpan.FromHours(2) };

    [Fact]
    public void Commands_come_to_what_the_model_says()
    {
        for (var seed = 1; seed <= 300; seed++)
        {
            Run(seed);
        }
    }

    private static void Run(int seed)
    {
        var random = new Random(seed);
        var model = new Model();
        SequenceHead? head = null;
        var now = Start;
        for (var step = 0; step < 120; step++)
        {
            now += random.Next(40) == 0 ? 700_000 : random.Next(5_000);
            var command = Draw(random, model, head);
            model.PassTime(now);
            var expected = model.Expect(command);
            var decision = SequenceLogic.Apply(head, command, now, (ulong)step + 1, Plenty, Rules);
            Assert.True(expected == decision.Refusal, $"seed {seed}, step {step}, {command}: {expected} was expected, {decision.Refusal} came: {decision.Text}");
            if (decision.IsRefusal)
            {
                continue;
            }

            // A head that was stored and read again is the same head.
            head = SequenceHeadFormat.TryRead(SequenceHeadFormat.Write(decision.Head!))!;
            model.Take(command, head, now);
            Assert.Equal(model.Hashes.Count, head.Blocks);
            Assert.Equal(model.Hashes.Count == 0 ? BlockHash.Root : model.Hashes[^1], head.LastHash);
            Assert.Equal(model.Runs, head.Segments);
            Assert.Equal(model.State, head.State);
        }
    }

    private static SequenceCommand Draw(Random random, Model model, SequenceHead? head)
    {
        var epoch = random.Next(8) == 0 ? (head?.Epoch ?? 1) - 1 : head?.Epoch ?? Start;
        return random.Next(20) switch
        {
            0 or 1 => SequenceCommands.Open(),
            2 => new ResumeSequence { Holder = "x" },
            3 => new ParkSequence { Epoch = random.Next(2) == 0 ? 0 : epoch },
            4 when random.Next(3) == 0 => new CloseSequence { Epoch = epoch },
            5 => new PinSequence { Replicas = random.Next(4), Until = long.MaxValue },
            _ => SequenceCommands.Append(epoch, Math.Max(0, model.Hashes.Count - (random.Next(8) == 0 ? 1 : 0)), random.Next(1, 5)),
        };
    }

    private sealed class Model
    {
        private long _epoch;
        private long _touchedAt;
        private long _createdAt;
        private long _pinnedUntil;
        private bool _exists;

        public List<BlockHash> Hashes { get; } = [];

        public int Runs { get; private set; }

        public SequenceState State { get; private set; } = SequenceState.Closed;

        public void PassTime(long now)
        {
            var end = Math.Min(_createdAt + 7_200_000, Math.Max(_touchedAt + 600_000, _pinnedUntil));
            if (_exists && State != SequenceState.Closed && now >= end)
            {
                State = SequenceState.Closed;
            }
        }

        public SequenceRefusal Expect(SequenceCommand command)
        {
            if (command is OpenSequence)
            {
                return SequenceRefusal.None;
            }

            if (!_exists || State == SequenceState.Closed)
            {
                return _exists ? SequenceRefusal.Closed : SequenceRefusal.NotFound;
            }

            if (command is AppendSegment append)
            {
                var last = Hashes.Count == 0 ? BlockHash.Root : Hashes[^1];
                return append.Epoch != _epoch ? SequenceRefusal.StaleEpoch
                    : State == SequenceState.Parked ? SequenceRefusal.Parked
                    : append.ParentHash != last ? SequenceRefusal.WrongParent
                    : SequenceRefusal.None;
            }

            return command is not ResumeSequence && command.Epoch != 0 && command.Epoch != _epoch ? SequenceRefusal.StaleEpoch : SequenceRefusal.None;
        }

        public void Take(SequenceCommand command, SequenceHead head, long now)
        {
            if (command is OpenSequence && State == SequenceState.Closed)
            {
                Hashes.Clear();
                (Runs, _createdAt, _exists, _pinnedUntil) = (0, now, true, 0);
            }

            if (command is OpenSequence or ResumeSequence)
            {
                Assert.True(head.Epoch > _epoch, "taking gives a later epoch");
                _epoch = head.Epoch;
            }

            if (command is AppendSegment append)
            {
                for (var index = 1; index <= append.Blocks; index++)
                {
                    Hashes.Add(SequenceCommands.Hash(Hashes.Count + 1));
                }

                Runs++;
            }

            if (command is PinSequence pin)
            {
                _pinnedUntil = pin.Replicas == 0 ? 0 : _createdAt + 7_200_000;
            }

            _touchedAt = now;
            State = command switch
            {
                ParkSequence => SequenceState.Parked,
                CloseSequence => SequenceState.Closed,
                OpenSequence or ResumeSequence => SequenceState.Active,
                _ => State,
            };
        }
    }
}
