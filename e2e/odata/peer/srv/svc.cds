using sf from '../db/schema';

@path: '/odata/v4/sf'
@requires: 'authenticated-user'
service SFService {
  @cds.query.limit: { default: 10, max: 20 }
  entity User              as projection on sf.User;
  @readonly entity EmpEmployment as projection on sf.EmpEmployment;
  @readonly entity EmpJob  as projection on sf.EmpJob;
  @readonly entity FODepartment  as projection on sf.FODepartment;
  @cds.query.limit: { default: 7, max: 7 }
  @readonly entity A_BusinessPartner as projection on sf.A_BusinessPartner;
  @readonly entity A_Customer    as projection on sf.A_Customer;
}
