using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Cluster.Tests.Scheduling;

public sealed class EmbeddedSchedulerLeaseTests : SchedulerLeaseContract
{
    protected override ISchedulerLease Create(NodeId self, OrderGate orders) => new EmbeddedSchedulerLease(self, orders, new SimulatedClock());
}
